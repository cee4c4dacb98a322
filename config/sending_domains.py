"""Read the sending domains (`mailgun=mg.example.com/pdk1, ses=example.com`), and the DNS servers that are asked."""

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final, NamedTuple

_DOMAIN: Final = re.compile(r"(?=.{4,200}$)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
_SELECTOR: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MOST: Final = 20


class NamedDomain(NamedTuple):
    """A domain for which a provider may send. `selector`: of its DKIM key; '' if it is not given."""

    provider: str
    domain: str
    selector: str = ""


def read_domains(text: str, providers: Collection[str]) -> tuple[tuple[NamedDomain, ...], list[str]]:
    """The domains, and every fault of the text. `providers`: those that are configured."""
    found: list[NamedDomain] = []
    faults: list[str] = []
    for entry in map(str.strip, text.split(",")):
        provider, _, written = (piece.strip() for piece in entry.partition("="))
        domain, slash, selector = written.lower().partition("/")
        if not _DOMAIN.fullmatch(domain) or (slash and not _SELECTOR.fullmatch(selector)):
            faults.append(f'"{entry}" is no domain of a provider, such as ses=example.com or ses=example.com/selector')
        elif provider not in providers:
            faults.append(f'"{provider}" is not in MAILROOM_PROVIDERS')
        else:
            found.append(NamedDomain(provider, domain, selector))
    if len(found) > _MOST:
        faults.append(f"more than {_MOST} domains")
    return tuple(found), faults


def read_servers(text: str) -> tuple[tuple[str, int], ...]:
    """Addresses and ports. Raises ValueError."""
    return tuple(_server(part.strip()) for part in text.split(","))


def _server(text: str) -> tuple[str, int]:
    address, port = text, "53"
    if match := re.fullmatch(r"\[(.+)\]:(\d{1,5})|([^:]+):(\d{1,5})", text):
        address, port = match[1] or match[3], match[2] or match[4]
    if not 1 <= int(port) <= 65_535:
        raise ValueError(text)
    return str(ip_address(address)), int(port)
