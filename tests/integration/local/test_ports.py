"""Ports for those who are to listen."""

import multiprocessing
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

from local.ports import free_port

LENT = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_a_free_port_is_handed_out_once_and_no_outgoing_connection_gets_it() -> None:
    ports = [free_port() for _ in range(500)]

    assert len(set(ports)) == 500
    assert max(ports) < int(LENT.read_text().split()[0])


def test_processes_that_ask_at_the_same_time_get_different_ports() -> None:
    """Each server is started seconds after its port was chosen. Forked processes know the same, and would choose the
    same."""
    fork = multiprocessing.get_context("fork")
    given: SimpleQueue[list[int]] = fork.SimpleQueue()
    own, all_have = [free_port() for _ in range(100)], fork.Barrier(8)
    asking = [fork.Process(target=_ask_for_ports, args=(given, all_have)) for _ in range(8)]
    for process in asking:
        process.start()
    ports = [port for _ in asking for port in given.get()]
    for process in asking:
        process.join()

    assert len(set(ports)) == len(ports) == 800
    assert not set(own) & set(ports)


def _ask_for_ports(given: "SimpleQueue[list[int]]", all_have: Barrier) -> None:
    given.put([free_port() for _ in range(100)])
    all_have.wait(30)  # who ends gives its ports back
