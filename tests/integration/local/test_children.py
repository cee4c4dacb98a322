"""Ports for those who are to listen."""

from pathlib import Path

from local.children import free_port

LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_free_port_is_told_once_and_is_none_that_an_outgoing_connection_may_be_given() -> None:
    ports = [free_port() for _ in range(500)]

    assert len(set(ports)) == 500
    assert max(ports) < int(LENT.read_text().split()[0])
