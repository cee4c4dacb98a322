"""What most of these tests begin with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers import Servers
from tests.support.system import System, a_system


@pytest.fixture
def running(system: System) -> System:
    """API, simulator and two senders."""
    system.start_simulator()
    system.start_api()
    system.start_senders(2)
    return system


@pytest.fixture
def own(tmp_path: Path) -> Iterator[System]:
    """A system on servers of its own, which a test may kill and put back."""
    with (
        Servers.start(tmp_path / "servers") as servers,
        a_system(tmp_path / "system", servers, database="own") as made,
    ):
        made.start_simulator()
        yield made
