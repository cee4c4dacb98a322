"""Turn a request into WSGI's environ, and an application's answer into bytes."""

import functools
import io
import sys
import time
from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

from werkzeug.exceptions import RequestEntityTooLarge

from cli.heads import Head, repeated
from cli.incoming import Incoming

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Address = tuple[str, int]
# Keys of the environ for facts that WSGI has no key for.
REFUSED: Final = "mailroom.refused"  # (status, words): the server refuses, and the application writes the answer
REPEATED_HEADERS: Final = "mailroom.repeated_headers"
_WITHOUT_BODY: Final = frozenset({100, 101, 102, 103, 204, 304})


class _Unread(io.RawIOBase):
    """Stands for a body that was not read, because it is too large for its route."""

    def readable(self) -> bool:
        return True

    def readinto(self, _: Any) -> int:
        raise RequestEntityTooLarge


def environ_of(incoming: Incoming, client: Address, server: Address, *, trusted: bool) -> Environ:
    """The environ of a whole request. `trusted`: the other end is a proxy that is believed about https."""
    head = incoming.head
    environ = _bare(head.method, head.target, client, server)
    environ["SERVER_PROTOCOL"] = f"HTTP/{head.version}"
    for name, value in head.headers:
        _add_header(environ, name, value)
    if trusted and environ.get("HTTP_X_FORWARDED_PROTO", "").lower() == "https":
        environ["wsgi.url_scheme"] = "https"
    if again := repeated(head):
        environ[REPEATED_HEADERS] = frozenset(name.title() for name in again)
    # A body that came in chunks is whole by now: to the application it is a body like any other.
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    if not incoming.unread:
        environ["CONTENT_LENGTH"] = str(incoming.received)
    environ["wsgi.input"] = _Unread() if incoming.unread else incoming.body()
    return environ


def environ_to_ask(head: Head, client: Address, server: Address) -> Environ:
    """The environ of a head alone, to ask how much of its body to take."""
    environ = _bare(head.method, head.target, client, server)
    for name, value in head.headers:
        _add_header(environ, name, value)
    environ.pop("CONTENT_LENGTH", None)
    return environ


def environ_of_refusal(status: int, words: str, client: Address, server: Address) -> Environ:
    return _bare("GET", b"/", client, server) | {REFUSED: (status, words), "wsgi.input": io.BytesIO()}


def answered(
    app: Application, environ: Environ, *, keeps_alive: bool, closing: Callable[[], bool]
) -> tuple[bytes, bool]:
    """Call the application. Returns (its whole answer, whether the connection is kept)."""
    status_and_headers: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], None]:
        status_and_headers[:] = [status, headers]
        return written.append

    written: list[bytes] = []
    parts = app(environ, start_response)
    try:
        written += parts
    finally:
        close = getattr(parts, "close", None)
        if close:
            close()
    status, headers = status_and_headers
    keeps = keeps_alive and not closing()
    body = b"".join(written)
    return _head_of(environ, status, headers, len(body), keeps) + _body_of(environ, status, body), keeps


def plain_answer(status: int) -> bytes:
    """An answer without a body, for an application that failed to answer."""
    phrase = HTTPStatus(status).phrase
    return f"HTTP/1.1 {status} {phrase}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def _bare(method: str, target: bytes, client: Address, server: Address) -> Environ:
    path, query = _path_and_query(target)
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "RAW_URI": target.decode("latin-1"),
        "REQUEST_URI": target.decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.input_terminated": True,
        "wsgi.input": _Unread(),
    }


def _path_and_query(target: bytes) -> tuple[bytes, bytes]:
    if not target.startswith(b"/"):  # the whole URL, as for a proxy, or `*`
        try:
            parts = urlsplit(target)
        except ValueError:
            return b"/", b""
        return parts.path or b"/", parts.query
    path, _, query = target.partition(b"?")
    return path.partition(b"#")[0], query.partition(b"#")[0]


def _add_header(environ: Environ, name: str, value: str) -> None:
    if "_" in name:
        return  # WSGI could not tell it from the one with a hyphen
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    environ[key] = f"{environ[key]},{value}" if key in environ else value


@functools.lru_cache(maxsize=2)
def _date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def _head_of(environ: Environ, status: str, headers: list[tuple[str, str]], length: int, keeps: bool) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers), f"Date: {_date(int(time.time()))}"]
    names = {name.lower() for name, _ in headers}
    if "content-length" not in names and int(status[:3]) not in _WITHOUT_BODY:
        lines.append(f"Content-Length: {length}")
    if not keeps:
        lines.append("Connection: close")
    elif environ["SERVER_PROTOCOL"] == "HTTP/1.0":
        lines.append("Connection: keep-alive")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _body_of(environ: Environ, status: str, body: bytes) -> bytes:
    silent = environ["REQUEST_METHOD"] == "HEAD" or int(status[:3]) in _WITHOUT_BODY
    return b"" if silent else body
