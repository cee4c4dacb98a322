"""Every process replaced in mid-campaign, by one of the same version. Another version: `make test-upgrade`."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.servers import Servers
from tests.support.databases import Databases
from tests.support.system import System, a_system
from tests.upgrade.rolling import SETTINGS, Rolling
from tests.upgrade.versions import THIS


@pytest.fixture
def system(servers: Servers, databases: Databases, tmp_path: Path) -> Iterator[System]:
    """One whose campaigns are many calls. A database of its own: senders take an emptied one for an older copy, and
    hold."""
    with a_system(tmp_path, servers, database=databases.take(), **SETTINGS) as made:
        yield made


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_rolling_restart_in_mid_campaign_doubles_and_loses_nothing(system: System, by: signal.Signals) -> None:
    rolling = Rolling(system, senders=2, recipients=300, side_by_side_s=1.0, faults=False)

    found = rolling.run(THIS, [(THIS, by)])

    assert len(found.rolls[0].replaced) == len(["api", "web", "sender"]) * 2
    assert found.accepted_once > 300
    assert found.wrong == {}
