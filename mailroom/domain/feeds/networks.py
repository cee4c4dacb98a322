"""The addresses that a feed may be fetched from: public ones. Everything else is inside of somebody's network, or is no
host at all.

Source: the registries of special-purpose addresses at iana.org (IPv4 and IPv6, read 2026-12-01) and, for the addresses
at which clouds tell a machine its secrets, the vendors' pages. Python's `is_global` is asked too, but it differs by the
version of Python, and takes multicast addresses for global ones.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_NOT_PUBLIC_4: Final = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # "this network"; Linux connects 0.0.0.0 to the machine itself
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; Alibaba tells secrets at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's own, in each machine's network
        "169.254.0.0/16",  # link-local; AWS, Azure and Google tell secrets at 169.254.169.254
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments; Oracle tells secrets at 192.0.0.192
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GLOBAL_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    IPv6Network(net)
    for net in (
        "2001::/23",  # protocol assignments, Teredo among them: an IPv4 address hides in it
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address hides in it
        "3fff::/20",
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")  # how a network without IPv4 writes an IPv4 address
_LAST_32_BITS: Final = 0xFFFFFFFF


def is_public(address: str) -> bool:
    """True for an address of the public internet, as a resolver gives it. False for anything that is no address."""
    try:
        return _is_public(ip_address(address))
    except ValueError:
        return False


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in net for net in _NOT_PUBLIC_4)
    if address.scope_id:
        return False
    if address.ipv4_mapped is not None:
        return _is_public(address.ipv4_mapped)
    if address in _NAT64:
        return _is_public(IPv4Address(int(address) & _LAST_32_BITS))
    return address.is_global and address in _GLOBAL_6 and not any(address in net for net in _NOT_PUBLIC_6)
