"""What most of these tests begin with."""

import pytest

from tests.support.system import System


@pytest.fixture
def running(system: System) -> System:
    """API, simulator and two senders."""
    system.start_simulator()
    system.start_api()
    system.start_senders(2)
    return system
