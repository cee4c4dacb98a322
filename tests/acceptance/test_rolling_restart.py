"""Every process replaced in mid-campaign, by one of the same version. Another version: `make test-upgrade`."""

import signal

import pytest

from tests.support.system import System
from tests.upgrade.rolling import Rolling
from tests.upgrade.versions import THIS


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_rolling_restart_in_mid_campaign_doubles_and_loses_nothing(system: System, by: signal.Signals) -> None:
    rolling = Rolling(system, senders=2, recipients=100, side_by_side_s=1.0, faults=False)

    found = rolling.run(THIS, [(THIS, by)])

    assert len(found.rolls[0].replaced) == len(["api", "web", "sender"]) * 2
    assert found.accepted_once > 100
    assert found.wrong == {}
