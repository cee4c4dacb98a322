"""What a sender begins next, where providers take nothing for a while."""

from typing import Any
from unittest.mock import MagicMock

import pytest

from mailroom.domain.ids import Lane
from mailroom.services.dispatching import claims
from mailroom.services.dispatching.claims import Waiting
from mailroom.storage.holds import NOTHING_HELD
from sender.claimer import Claimer
from sender.lane_turns import LaneTurns
from sender.pace import Pace
from tests.support.builders import a_claimable

LANE = Lane("schedule/s")


@pytest.fixture
def asked_for_others(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A dispatch waits to go alone. Notes each look at others."""
    alone = Waiting([a_claimable("a", lane=LANE)], alone=True)
    asked_for_others: list[Any] = []
    monkeypatch.setattr(claims, "claimable_alone", lambda *_, **__: alone)
    monkeypatch.setattr(claims, "claimable", lambda *_, **__: asked_for_others.append(1) or Waiting())
    return asked_for_others


def a_claimer(pace: Pace, turns: LaneTurns) -> Claimer:
    in_flight, router, connections, guard = MagicMock(), MagicMock(), MagicMock(), MagicMock()
    in_flight.in_hand.return_value = in_flight.bytes_in_hand.return_value = 0
    connections.limit = connections.room.return_value = 8
    router.choose.side_effect = lambda waiting: [("mailgun", waiting)]
    router.without_provider.return_value = Waiting()
    guard.on_hold = NOTHING_HELD
    adapter = MagicMock()
    adapter.name = "mailgun"
    services = MagicMock(adapters={"mailgun": adapter})
    services.settings.sending.lease_ttl_s = 10
    others = MagicMock(), MagicMock()
    return Claimer(
        services,
        in_flight,
        MagicMock(),
        guard,
        router,
        others[0],
        pace,
        connections,
        others[1],
        MagicMock(),
        turns,
        sender="s",
    )


def test_what_goes_alone_to_a_provider_that_takes_nothing_keeps_nothing_else_back(asked_for_others: list[Any]) -> None:
    pace = Pace(["mailgun"])
    pace.refused("mailgun")
    claimer = a_claimer(pace, LaneTurns())

    assert claimer.send(MagicMock()) == 0
    claimer.send(MagicMock())

    assert asked_for_others


def test_what_goes_alone_in_a_lane_that_is_being_planned_keeps_others_back_for_a_while_only(
    asked_for_others: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = LaneTurns()
    claimer = a_claimer(Pace(["mailgun"]), turns)

    with turns.plan_in([LANE]):
        assert claimer.send(MagicMock()) == 0
        assert claimer.send(MagicMock()) == 0
        assert not asked_for_others
        monkeypatch.setattr("sender.looks._MOST_WAIT_FOR_PLANNING_S", 0.0)
        claimer.send(MagicMock())
        claimer.send(MagicMock())

    assert asked_for_others
