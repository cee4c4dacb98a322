"""Read what feeds may be fetched, and the secrets of their headers.

A place is a host, with its port where that is not the one of https or http: `feeds.example.com`, `127.0.0.1:8025`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from config.reading import Reader

_PLACE: Final = re.compile(r"([a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_SECRET: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_VALUE: Final = re.compile(r"[\x20-\x7e]{1,4000}")
_MOST: Final = 200
_EXAMPLE: Final = '{"shop": {"value": "Bearer ...", "hosts": ["api.shop.example"]}}'


@dataclass(frozen=True, slots=True)
class HeaderSecret:
    """The value of a header, and the places that may get it."""

    value: str = field(repr=False)
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeedSettings:
    """`places`: None means every public host."""

    places: tuple[str, ...] | None
    private: tuple[str, ...]
    http: bool
    ports: tuple[int, ...]
    secrets: Mapping[str, HeaderSecret] = field(repr=False)


def read_feeds(read: Reader) -> FeedSettings:
    """Faults are added to the reader's."""
    no_ports: tuple[int, ...] = ()
    return FeedSettings(
        places=_named(read, "MAILROOM_FEED_HOSTS", "any"),
        private=_named(read, "MAILROOM_FEED_PRIVATE_HOSTS", "none") or (),
        http=read.one_of("MAILROOM_FEED_HTTP", ("no", "yes")) == "yes",
        ports=read.checked("MAILROOM_FEED_PORTS", _ports, no_ports),
        secrets=read.each_fault("MAILROOM_FEED_SECRETS", _secrets, {})
        if read.is_set("MAILROOM_FEED_SECRETS", "none")
        else {},
    )


def _named(read: Reader, name: str, unset: str) -> tuple[str, ...] | None:
    """The places of a setting; None where it is not set."""
    nothing: tuple[str, ...] = ()
    return read.checked(name, _places, nothing) if read.is_set(name, unset) else None


def _places(raw: str) -> tuple[str, ...]:
    places = tuple(part.strip().lower() for part in raw.split(","))
    if len(places) > _MOST or not all(_PLACE.fullmatch(place) for place in places):
        raise ValueError(raw)
    return places


def _ports(raw: str) -> tuple[int, ...]:
    ports = tuple(int(part) for part in raw.split(","))
    if not all(1 <= port <= 65_535 for port in ports):
        raise ValueError(raw)
    return ports


def _secrets(raw: str) -> tuple[dict[str, HeaderSecret], list[str]]:
    """The secrets, and every fault, in words that show none of them."""
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or len(said) > _MOST:
        return {}, [f"is wrong: expected JSON such as {_EXAMPLE}"]
    secrets: dict[str, HeaderSecret] = {}
    faults: list[str] = []
    for name, of in said.items():
        if not _SECRET.fullmatch(name):
            faults.append("a name of a secret has 1 to 64 letters, digits, _, - and .")
        elif not _is_secret(of):
            faults.append(f'"{name}" is wrong: expected a value in one line, and its hosts, such as {_EXAMPLE}')
        else:
            secrets[name] = HeaderSecret(of["value"], tuple(place.lower() for place in of["hosts"]))
    return secrets, faults


def _is_secret(of: Any) -> bool:
    if not isinstance(of, dict) or of.keys() != {"value", "hosts"}:
        return False
    value, hosts = of["value"], of["hosts"]
    if not isinstance(value, str) or not _VALUE.fullmatch(value) or not isinstance(hosts, list) or not hosts:
        return False
    return all(isinstance(place, str) and _PLACE.fullmatch(place.lower()) for place in hosts)
