"""A body taken out of its chunks (RFC 9112 7.1). Extensions and trailers are read over."""

import re
from typing import Final

from cli.heads import RequestRefused

_MAX_LINE: Final = 256
_MAX_TRAILERS: Final = 8 * 1024
_FEW: Final = 256  # so many chunks may be of any size
_LEAST: Final = 32  # bytes a chunk, on average, of a body with more chunks
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t -~]*)?")


class Chunks:
    """The chunks of one body; `ended` is True once the last of them and the trailers are read."""

    def __init__(self) -> None:
        self.ended = False
        self._left = 0  # of the chunk in hand
        self._closes = False  # a chunk was read, and not the end of its line
        self._trailers = -1  # bytes of them; -1 before the last chunk
        self._count = self._bytes = 0

    def take(self, buffer: bytearray) -> bytes:
        """The part of the body that is in the buffer. The bytes read are removed from the buffer. Raises
        RequestRefused."""
        found: list[bytes] = []
        at = 0
        while not self.ended:
            if self._left:
                piece = bytes(buffer[at : at + self._left])
                if not piece:
                    break
                found.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._closes = not self._left
                continue
            end = buffer.find(b"\r\n", at, at + _MAX_LINE + 2)
            if end < 0:
                if len(buffer) - at > _MAX_LINE:
                    raise RequestRefused(400, "A line between chunks is too long.")
                break
            self._line(bytes(buffer[at:end]))
            at = end + 2
        del buffer[:at]
        return b"".join(found)

    def _line(self, line: bytes) -> None:
        if self._closes:
            if line:
                raise RequestRefused(400, "A chunk is longer than it says.")
            self._closes = False
        elif self._trailers >= 0:
            self._trailers += len(line) + 2
            self.ended = not line
            if self._trailers > _MAX_TRAILERS:
                raise RequestRefused(431, "The trailers are too large.")
        else:
            size = _SIZE.fullmatch(line)
            if size is None:
                raise RequestRefused(400, "The size of a chunk is none.")
            self._left = int(size[1], 16)
            self._count, self._bytes = self._count + 1, self._bytes + self._left
            if self._count > _FEW and self._bytes < self._count * _LEAST:
                raise RequestRefused(400, "The body comes in too many small chunks.")
            if not self._left:
                self._trailers = 0
