"""One live connection to a provider, over which a request is written at most once.

No HTTP client's convenience here is harmless: reconnecting, retrying and following redirects all send a mail again.
So this is http.client with everything automatic taken out. Inside `post` nothing connects. What may be said after a
failure is exact: `NotWritten` when no byte of the request reached the kernel, `LostReply` in every other case.

After a time-out the socket is reset (linger 0), and TCP_USER_TIMEOUT bounds how long the kernel may go on trying: it
sends nothing after we gave up. A connection that waited for longer than half of the provider's idle limit is never
used, nor one that the other side has closed. That is also what stops a process that was frozen: its clocks lie, but
its connections are dead.
"""

import contextlib
import http.client
import io
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

MAX_REPLY: Final = 1024 * 1024  # bytes; a provider's answer to a send is a few hundred
_CONNECT_S: Final = 10.0


class NotWritten(Exception):
    """The request did not leave: no byte of it was handed to the kernel."""


class LostReply(Exception):
    """The request left, wholly or in part, and no whole answer came back: it may have been accepted."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


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
        except OSError as error:
            raw.close()
            raise NotWritten(f"cannot connect to {self._host}:{self._port}: {error}") from error
        self._used_at = self._monotonic()

    def usable(self) -> bool:
        """True if the connection is open, young enough, and the other side has neither closed it nor spoken."""
        if self._socket is None or self._monotonic() - self._used_at > self._retire_after_s:
            return False
        try:
            return self._is_silent(self._socket)
        except (OSError, ValueError):
            return False

    @staticmethod
    def _is_silent(sock: socket.socket) -> bool:
        """Nothing has come in, neither an end nor an answer to nothing. A TLS server sends session tickets unasked."""
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        if not waiting.poll(0) and not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            return True
        if not isinstance(sock, ssl.SSLSocket):
            return False
        sock.setblocking(False)
        try:
            sock.recv(1)
        except ssl.SSLWantReadError:
            return True  # only tickets, which are read now
        return False

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Write one request and read its answer, within the call's time. Raises NotWritten or LostReply.

        After LostReply, or an answer that ends the connection, it is closed.
        """
        if self._socket is None:
            raise NotWritten("the connection is closed")
        deadline = self._monotonic() + self._call_timeout_s
        try:
            self._write(self._request(path, headers, len(body)) + body, deadline)
            reply, keep = self._read(deadline)
        except NotWritten:
            self._reset()
            raise
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._reset()
            raise LostReply(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self._reset()
            raise
        self._used_at = self._monotonic()
        if not keep:
            self.close()
        return reply

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None

    def _reset(self) -> None:
        """Close with RST: what the kernel still holds of the request is thrown away, not sent later."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def _in_tls(self, raw: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context.wrap_socket(raw, server_hostname=self._host)

    def _request(self, path: str, headers: Mapping[str, str], length: int) -> bytes:
        default_port = 443 if self._secure else 80
        host = self._host if self._port == default_port else f"{self._host}:{self._port}"
        lines = [f"POST {self._prefix}{path} HTTP/1.1", f"Host: {host}", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any("\r" in line or "\n" in line for line in lines):
            raise NotWritten("a line break in the request's head")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _write(self, request: bytes, deadline: float) -> None:
        sock, view = self._open_socket(), memoryview(request)
        written = 0
        while written < len(view):
            sock.settimeout(self._left(deadline))
            try:
                written += sock.send(view[written : written + 256 * 1024])
            except OSError as error:
                # TLS may have flushed a record before it failed; only a plain socket's word is exact.
                if written == 0 and not self._secure:
                    raise NotWritten(f"the connection broke before the request: {error}") from error
                raise

    def _read(self, deadline: float) -> tuple[Reply, bool]:
        sock = self._open_socket()
        sock.settimeout(self._left(deadline))
        answer = http.client.HTTPResponse(_Deadlined(sock, lambda: self._left(deadline)), method="POST")  # type: ignore[arg-type]
        answer.begin()
        body = answer.read(MAX_REPLY + 1)
        if len(body) > MAX_REPLY:
            raise ValueError("the answer is too long to be one")
        if answer.length not in (None, 0):
            raise http.client.IncompleteRead(body, answer.length)
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Reply(answer.status, headers, body), not answer.will_close

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise NotWritten("the connection is closed")
        return self._socket

    def _left(self, deadline: float) -> float:
        left = deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError("the call's time is over")
        return left


class _Deadlined(io.RawIOBase):
    """What http.client reads from: every single receive gets only the time that is left of the whole call, so that an
    answer that drips in is given up as well."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._socket, self._left = sock, left

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._socket.settimeout(self._left())
        return self._socket.recv_into(buffer)
