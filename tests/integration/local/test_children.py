"""Ports for those who are to listen."""

from pathlib import Path

from local.children import free_port

LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_free_port_is_handed_out_once_and_no_outgoing_connection_gets_it() -> None:
    ports = [free_port() for _ in range(500)]

    assert len(set(ports)) == 500
    assert max(ports) < int(LENT.read_text().split()[0])
