"""When a sender checks in: after a completed round, and while it drains."""

from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.ids import Lane, Token
from mailroom.domain.workers import Activity
from sender.in_flight import InFlight
from sender.presence import Presence
from tests.support.builders import a_claimed

LANE = Lane("mail/1")


class Hands:
    """The sender's hands, what it has said, and its presence."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.said, self.in_flight = 1_000.0, list[Activity](), InFlight()
        monkeypatch.setattr("sender.presence.time", SimpleNamespace(monotonic=lambda: self.now))
        services: Any = SimpleNamespace(db=None, settings=SimpleNamespace(sending=SimpleNamespace(lease_ttl_s=30)))
        self.presence = Presence(services, self.in_flight, sender="ann-1")
        self.presence._check_ins.hand_in = self.said.append  # type: ignore[method-assign]
        self.in_flight.take_lanes({LANE: Token(1)}, at=0.0)
        self.in_flight.take([a_claimed()])


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(monkeypatch)


def test_after_a_round_it_says_which_lanes_it_holds_and_what_is_in_flight(hands: Hands) -> None:
    hands.presence.check_in()

    assert hands.said == [Activity([LANE], in_flight=1)]


def test_rounds_that_follow_at_once_are_not_each_checked_in(hands: Hands) -> None:
    for moment in (1_000.0, 1_000.1, 1_009.9, 1_010.1):
        hands.now = moment
        hands.presence.check_in()

    assert len(hands.said) == 2


def test_without_a_round_it_says_nothing(hands: Hands) -> None:
    assert hands.presence._while_draining() is None


def test_while_it_drains_it_says_what_is_still_in_flight_and_claims_no_lane_as_its_own(hands: Hands) -> None:
    hands.presence.drain()

    assert hands.presence._while_draining() == Activity((), in_flight=1)
