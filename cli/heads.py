"""The head of a request, read by httptools (Node's llhttp), which refuses heads that could be read in two ways."""

import re
from dataclasses import dataclass, field
from typing import Final

import httptools

MAX_HEADERS: Final = 100


class RequestRefused(Exception):
    """The request is answered with this status, and its connection closed."""

    def __init__(self, status: int, words: str) -> None:
        self.status, self.words = status, words
        super().__init__(words)


@dataclass(slots=True)
class Head:
    """The request line and the headers of a request."""

    method: str = ""
    target: bytes = b""
    version: str = "1.1"
    headers: list[tuple[str, str]] = field(default_factory=list)  # names in small letters
    length: int | None = None  # of the body; None where it comes in chunks
    keeps_alive: bool = True
    expects_continue: bool = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip()))

    def of(self, name: str) -> list[str]:
        return [value for given, value in self.headers if given == name]


def read_head(raw: bytes) -> Head:
    """Raises RequestRefused for bytes that are no request, or could be read as two different ones."""
    head = Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # a request for another protocol is answered in this one
    except httptools.HttpParserError as error:
        raise RequestRefused(400, f"This is no request that can be read: {error}.") from None
    head.method, head.version = parser.get_method().decode("latin-1"), parser.get_http_version()
    if head.version not in ("1.0", "1.1"):
        raise RequestRefused(505, "HTTP/1.1 is spoken here.")
    if head.method == "CONNECT":
        raise RequestRefused(501, "This is no proxy.")
    if len(head.headers) > MAX_HEADERS:
        raise RequestRefused(431, f"At most {MAX_HEADERS} headers.")
    hosts = head.of("host")
    if len(hosts) > 1 or (not hosts and head.version == "1.1"):
        raise RequestRefused(400, "One Host header is needed.")
    _read_framing(head)
    connection = ",".join(head.of("connection")).lower()
    head.keeps_alive = "keep-alive" in connection if head.version == "1.0" else "close" not in connection
    expected = [value.lower() for value in head.of("expect")]
    if expected not in ([], ["100-continue"]):
        raise RequestRefused(417, "Nothing but 100-continue can be expected.")
    head.expects_continue = bool(expected) and head.version == "1.1"
    return head


def _read_framing(head: Head) -> None:
    lengths, codings = head.of("content-length"), head.of("transfer-encoding")
    if codings:
        if lengths or head.version == "1.0":
            raise RequestRefused(400, "Content-Length and Transfer-Encoding contradict each other.")
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise RequestRefused(501, "Of all Transfer-Encodings only chunked is understood.")
        head.length = None
    elif lengths:
        if len(lengths) > 1 or not re.fullmatch("[0-9]{1,15}", lengths[0]):
            raise RequestRefused(400, "One Content-Length in digits is needed.")
        head.length = int(lengths[0])
    else:
        head.length = 0


def repeated(head: Head) -> set[str]:
    """Names of headers that came more than once."""
    seen: set[str] = set()
    return {name for name, _ in head.headers if name in seen or seen.add(name)}  # type: ignore[func-returns-value]
