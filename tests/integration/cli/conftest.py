"""Commands as a person or a script types them."""

import pytest

from tests.support.system import System
from tests.support.terminal import Terminal


@pytest.fixture
def mailroom(system: System) -> Terminal:
    """The console entry point, with the settings of the system."""
    return Terminal(system)
