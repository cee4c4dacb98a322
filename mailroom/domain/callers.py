"""The origin of a request: the proxies to trust, and the addresses that count as the same caller."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address


def client_address(remote: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address of the client that made a request. `remote`: the other end of the connection.

    `forwarded`: the values of its X-Forwarded-For headers, in order. Each proxy appends the address of its caller. So
    the values are read from the end, for as long as trusted proxies wrote them; earlier values may be forged.
    """
    heard = _read(remote)
    for text in reversed([part for value in forwarded for part in value.split(",")]):
        if heard is None or not any(heard in network for network in trusted if network.version == heard.version):
            break
        before = _read(text)
        if before is None:
            break
        heard = before
    return str(heard) if heard is not None else remote


def counted_as(address: str) -> str:
    """The key under which a limit counts a caller: an IPv4 address, or the /64 of an IPv6 address, because a single
    machine may use all of a /64."""
    read = _read(address)
    return str(ip_network((read, 64), strict=False)) if isinstance(read, IPv6Address) else str(read or address)


def _read(text: str) -> _Address | None:
    """Parse an address in any form that proxies write: bare or in brackets, with or without a port."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        read = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (read.ipv4_mapped or read) if isinstance(read, IPv6Address) else read
