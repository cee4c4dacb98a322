"""One live connection to a provider, over which a request is written at most once.

HTTP clients reconnect, retry and follow redirects, and each of these sends a mail again. So this is a socket and a
parser (httptools), with nothing automatic. After a request has begun, nothing connects. A failure is exact:
`NotWritten` if no byte of the request reached the kernel, `LostReply` in every other case.

No method waits: `begin` takes a request, `advance` writes and reads as far as possible without waiting, so that one
thread can carry hundreds of calls.

After a time-out the socket is reset (linger 0), and TCP_USER_TIMEOUT bounds the kernel's own retries: nothing is sent
after we gave up. A connection is never used after waiting for half of the provider's idle limit, nor after the other
side has closed it. That also stops a process that was frozen: its clocks are wrong, but its connections are dead.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httptools
from msgspec import Struct

MAX_REPLY: Final = 1024 * 1024  # bytes; a provider's answer to a send is a few hundred
_CONNECT_S: Final = 10.0
_WRITE_BYTES: Final = 256 * 1024
_READ_BYTES: Final = 64 * 1024


class NotWritten(Exception):
    """The request did not leave: no byte of it reached the kernel."""


class NotAdmitted(NotWritten):
    """The other side refused us before anything was written: because of the account, or of its limit on connections."""


class LostReply(Exception):
    """The request left, wholly or in part, and no whole answer came: it may have been accepted."""


class Request(Struct, frozen=True):
    """A request, built completely before its fence is crossed."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Reply(Struct, frozen=True):
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Answer:
    """An answer as far as it was parsed. The names of the methods are httptools'."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.size = 0
        self.keep = False
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, part: bytes) -> None:
        self.size += len(part)
        if self.size > MAX_REPLY:
            raise ValueError("the answer is too long to be one")
        self.body.append(part)

    def on_message_complete(self) -> None:
        status = self.parser.get_status_code()
        if status < 200:  # 100 Continue and its like come before the answer
            self.headers.clear()
            return
        self.status, self.keep, self.whole = status, self.parser.should_keep_alive(), True


@dataclass(slots=True)
class _Exchange:
    """A request under way: its unwritten rest, and the answer so far."""

    request: memoryview
    deadline: float
    written: int = 0
    answer: _Answer = field(default_factory=_Answer)


class LiveConnection:
    """A connection for one request at a time. Not thread-safe."""

    def __init__(
        self,
        base_url: str,
        *,
        call_timeout_s: float,
        idle_limit_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(base_url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._call_timeout_s = call_timeout_s
        self._retire_after_s = idle_limit_s / 2
        self._monotonic = monotonic
        self._socket: socket.socket | None = None
        self._incoming = select.poll()  # of the open socket
        self._exchange: _Exchange | None = None
        self._used_at = 0.0

    def open(self) -> None:
        """Connect. Raises NotWritten: nothing can have been sent."""
        self.close()
        try:
            raw = socket.create_connection((self._host, self._port), timeout=_CONNECT_S)
        except OSError as error:
            raise NotWritten(f"cannot connect to {self._host}:{self._port}: {error}") from error
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._call_timeout_s * 1000))
            self._socket = self._in_tls(raw) if self._secure else raw
            self._socket.setblocking(False)
            self._incoming = select.poll()
            self._incoming.register(self._socket, select.POLLIN)
        except OSError as error:
            raw.close()
            raise NotWritten(f"cannot connect to {self._host}:{self._port}: {error}") from error
        self._used_at = self._monotonic()

    def usable(self) -> bool:
        """True if the connection is open and young enough, and nothing has come in, not even its end."""
        if self._socket is None or self._monotonic() - self._used_at > self._retire_after_s:
            return False
        try:
            return self._is_silent(self._socket)
        except (OSError, ValueError):
            return False

    def _is_silent(self, sock: socket.socket) -> bool:
        """True if nothing has come in, not even the end. A TLS server's session tickets do not count."""
        if not self._incoming.poll(0) and not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            return True
        if not isinstance(sock, ssl.SSLSocket):
            return False
        try:
            sock.recv(1)
        except ssl.SSLWantReadError:
            return True  # only session tickets; they are read now
        return False

    def begin(self, request: Request) -> None:
        """Take a request for `advance` to write. The call's time begins. Raises NotWritten."""
        if self._socket is None or self._exchange is not None:
            raise NotWritten("the connection is closed" if self._socket is None else "the connection is in use")
        whole = self._head(request.path, request.headers, len(request.body)) + request.body
        self._exchange = _Exchange(memoryview(whole), self._monotonic() + self._call_timeout_s)

    def fileno(self) -> int:
        """The socket, for polling while a request is under way. Raises NotWritten if the connection is closed."""
        return self._open_socket().fileno()

    @property
    def writing(self) -> bool:
        """True while a part of the request is unwritten."""
        return self._exchange is not None and self._exchange.written < len(self._exchange.request)

    @property
    def deadline(self) -> float:
        """End of the call's time on the monotonic clock; 0 without a request."""
        return self._exchange.deadline if self._exchange else 0.0

    def advance(self) -> Reply | None:
        """Write, or read, as far as possible without waiting. Returns the whole answer, or None if more is to come:
        poll the socket before the next call. The call that writes the last of the request does not read.

        Raises NotWritten or LostReply. After these, and after an answer that ends the connection, it is closed.
        """
        exchange = self._exchange
        if exchange is None:
            raise NotWritten("no request was begun")
        try:
            if self._monotonic() >= exchange.deadline:
                raise TimeoutError("the call's time is over")
            if exchange.written < len(exchange.request):
                self._write(exchange)
                if exchange.written == len(exchange.request):
                    return None  # an answer is hardly here yet, and whoever polls learns of it
            self._read(exchange)  # a refusal may come before the whole request is written
        except NotWritten:
            self._reset()
            raise
        except (OSError, httptools.HttpParserError, ValueError) as error:
            self._reset()
            raise LostReply(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self._reset()
            raise
        answer = exchange.answer
        if not answer.whole:
            return None
        self._exchange, self._used_at = None, self._monotonic()
        if exchange.written < len(exchange.request):
            self._reset()  # the other side does not want the rest
        elif not answer.keep:
            self.close()
        return Reply(answer.status, answer.headers, b"".join(answer.body))

    def close(self) -> None:
        self._exchange = None
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _reset(self) -> None:
        """Close with RST: the kernel drops the unsent rest of the request, instead of sending it later."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _in_tls(self, raw: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context.wrap_socket(raw, server_hostname=self._host)

    def _head(self, path: str, headers: Mapping[str, str], length: int) -> bytes:
        default_port = 443 if self._secure else 80
        host = self._host if self._port == default_port else f"{self._host}:{self._port}"
        lines = [f"POST {self._prefix}{path} HTTP/1.1", f"Host: {host}", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        head = "\r\n".join(lines)
        if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1:
            raise NotWritten("a line break in the request's head")
        return head.encode("latin-1") + b"\r\n\r\n"

    def _write(self, exchange: _Exchange) -> None:
        sock = self._open_socket()
        try:
            while exchange.written < len(exchange.request):
                exchange.written += sock.send(exchange.request[exchange.written : exchange.written + _WRITE_BYTES])
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return  # the kernel's buffer is full
        except OSError as error:
            # TLS may have sent a record before it failed: only a plain socket's error is exact.
            if exchange.written == 0 and not self._secure:
                raise NotWritten(f"the connection broke before the request: {error}") from error
            raise

    def _read(self, exchange: _Exchange) -> None:
        sock = self._open_socket()
        try:
            while not exchange.answer.whole:
                received = sock.recv(_READ_BYTES)
                if not received:
                    raise ConnectionError("the connection ended before a whole answer")
                exchange.answer.parser.feed_data(received)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise NotWritten("the connection is closed")
        return self._socket
