"""The URLs that a feed may have, read by one strict pattern: two parsers that read a URL otherwise would let one name a
host that the other has not checked."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from mailroom.domain.limits import MAX_FEED_URL

PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(
    r"""(?P<scheme>https?)://
    (?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])
    (?::(?P<port>[0-9]{1,5}))?
    (?P<path>/[\x21\x24-\x3b\x3d\x40-\x5b\x5d\x5f\x61-\x7a\x7e%]*)?
    (?P<query>\?[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e%]*)?""",
    re.VERBOSE,
)
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_MOST_HOST: Final = 253


class BadUrl(ValueError):
    """The URL cannot be a feed's; the message says why."""


@dataclass(frozen=True, slots=True)
class FeedUrl:
    """`host`: in small letters; an IPv6 address without brackets. `target`: the path with the query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def place(self) -> str:
        """Host and port, as settings name a place: `feeds.example.com`, or with a port that is not the scheme's."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """The URL without its query, which may hold a key: for pages, answers and the log."""
        return f"{self.scheme}://{self.place}{self.target.partition('?')[0]}"


def read_url(text: str) -> FeedUrl:
    """Raises BadUrl."""
    if len(text) > MAX_FEED_URL:
        raise BadUrl(f"has at most {MAX_FEED_URL:,} characters")
    found = _URL.fullmatch(text)
    if found is None:
        raise BadUrl(_why_not(text))
    port = int(found["port"]) if found["port"] else PORTS[found["scheme"]]
    if not 1 <= port <= 65_535:
        raise BadUrl("names a port that does not exist")
    target = (found["path"] or "/") + (found["query"] or "")
    return FeedUrl(found["scheme"], _host(found["host"]), port, target)


def _host(written: str) -> str:
    """Raises BadUrl."""
    try:
        if written.startswith("["):
            return str(IPv6Address(written[1:-1]))
        host = written.lower().removesuffix(".")
        last = host.rpartition(".")[2]
        if last.isdigit() or last.startswith("0x"):  # `127.1` and `2130706433` are addresses to some resolvers
            return str(IPv4Address(host))
    except AddressValueError:
        raise BadUrl("names no address in its usual form") from None
    if len(host) > _MOST_HOST or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise BadUrl("names no host")
    return host


def _why_not(text: str) -> str:
    if not text.isascii():
        return "is ASCII: write the host as xn--..., and other characters as %C3%A9"
    if not re.match(r"https?://", text):
        return "must begin with https:// or http://"
    if "@" in text.split("://", 1)[1].partition("/")[0]:
        return "carries no user and no password: use headers with a secret"
    if "#" in text:
        return "has no part after #"
    return "is no URL such as https://example.com/feed.json"
