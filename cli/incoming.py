"""A request as it comes in, piece by piece: its head, then its body. Pure, so that tests need no socket.

A small body is kept in memory. A larger one goes to a file, and nothing of it is taken before `allow` has said how much
may come.
"""

import io
import tempfile
from enum import Enum, auto
from typing import IO, Final

from cli.chunks import Chunks
from cli.heads import Head, RequestRefused, read_head

MAX_LINE: Final = 8 * 1024  # bytes of a request line
MAX_HEAD: Final = 32 * 1024
SMALL: Final = 64 * 1024  # a body that is taken without a question
IN_MEMORY: Final = 1024 * 1024
HEAD_S: Final = 10.0  # for the whole head
GRACE_S: Final = 10.0  # before LEAST_RATE counts
LEAST_RATE: Final = 4 * 1024  # bytes of a body in a second
_END: Final = b"\r\n\r\n"


class Stage(Enum):
    HEAD = auto()
    ASKING = auto()  # a larger body wants to come: `allow` decides
    BODY = auto()
    WHOLE = auto()


class Incoming:
    """One request of a connection. `feed` takes bytes, and raises RequestRefused; `rest` holds bytes of the next
    request."""

    def __init__(self, *, now: float) -> None:
        self.stage = Stage.HEAD
        self.head = Head()
        self.received = 0  # bytes of the body
        self.unread = False  # the body is larger than allowed: nobody reads it
        self._began = now
        self._buffer = bytearray()
        self._body: IO[bytes] | None = None
        self._chunks: Chunks | None = None
        self._most, self._asked = SMALL, False

    @property
    def deadline(self) -> float:
        """The time by which more must have come."""
        if self.stage is Stage.HEAD:
            return self._began + HEAD_S
        return self._began + GRACE_S + self.received / LEAST_RATE

    @property
    def begun(self) -> bool:
        return self.stage is not Stage.HEAD or bool(self._buffer)

    @property
    def rest(self) -> bytes:
        return bytes(self._buffer)

    def feed(self, data: bytes, *, now: float) -> None:
        if not self.begun:
            self._began = now
        searched = max(0, len(self._buffer) - len(_END) + 1)
        self._buffer += data
        if self.stage is Stage.HEAD:
            self._read_head(searched, now)
        if self.stage is Stage.BODY:
            self._read_body()

    def allow(self, most: int, *, now: float) -> None:
        """Take at most so many bytes of the body; a body that is larger is left unread."""
        self._most, self._began, self._asked = most, now, True
        self.stage = Stage.BODY
        if self.head.length is not None and self.head.length > most:
            self._leave_unread()
        else:
            self._read_body()

    def body(self) -> IO[bytes]:
        """The body as far as it has come, at its beginning."""
        body = self._body or io.BytesIO()
        body.seek(0)
        return body

    def close(self) -> None:
        if self._body is not None:
            self._body.close()

    def _read_head(self, searched: int, now: float) -> None:
        while self._buffer.startswith(b"\r\n"):  # RFC 9112 2.2: an empty line before a request says nothing
            del self._buffer[:2]
            searched = 0
        end = self._buffer.find(_END, searched)
        line = self._buffer.find(b"\r\n", 0, MAX_LINE + 2)
        if line < 0 and len(self._buffer) > MAX_LINE:
            raise RequestRefused(414, f"The path with its query has at most {MAX_LINE:,} bytes.")
        if max(end, len(self._buffer) - len(_END) if end < 0 else 0) > MAX_HEAD:
            raise RequestRefused(431, f"The headers have at most {MAX_HEAD:,} bytes together.")
        if end < 0:
            return
        self.head = read_head(bytes(self._buffer[: end + len(_END)]))
        del self._buffer[: end + len(_END)]
        self._began = now
        if self.head.length is None:
            self._chunks = Chunks()
        asks = (self.head.length or 0) > SMALL
        self.stage = Stage.ASKING if asks else Stage.BODY

    def _read_body(self) -> None:
        if self._chunks is not None:
            found = self._chunks.take(self._buffer)
            self._keep(found)
            if self.received > self._most:
                if self._asked:
                    self._leave_unread()
                else:
                    self.stage = Stage.ASKING
            elif self._chunks.ended:
                self.stage = Stage.WHOLE
            return
        missing = (self.head.length or 0) - self.received
        if missing and self._buffer:
            self._keep(bytes(self._buffer[:missing]))
            del self._buffer[:missing]
        if self.received == self.head.length:
            self.stage = Stage.WHOLE

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        if self._body is None:
            small = self.head.length is not None and self.head.length <= SMALL
            self._body = io.BytesIO() if small else tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        try:
            self._body.write(data)
        except OSError:
            raise RequestRefused(503, "There is no room for so large a body at this moment.") from None
        self.received += len(data)

    def _leave_unread(self) -> None:
        self.unread, self.stage = True, Stage.WHOLE
        self.head.keeps_alive = False
        self._buffer.clear()
