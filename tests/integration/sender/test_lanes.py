"""How a sender looks for lanes that want work: how often, and how many it takes."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.ids import Lane, Token
from mailroom.services.dispatching import lanes as dispatching_lanes
from sender.in_flight import InFlight
from sender.lanes import AHEAD, Lanes, pause_of_looks
from tests.support.builders import NOW, a_claimed


def test_a_look_that_finds_nothing_is_followed_at_leisure_and_one_that_finds_something_at_once() -> None:
    assert pause_of_looks(0.0, found=False) == 0.5
    assert pause_of_looks(0.0, found=True) == 0.1


def test_slow_looks_take_a_tenth_of_the_time_and_half_of_it_while_lanes_are_free() -> None:
    assert pause_of_looks(0.1, found=False) == pytest.approx(0.9)
    assert pause_of_looks(0.1, found=True) == pytest.approx(0.1)


def test_after_a_look_that_the_store_held_up_the_next_one_still_comes_before_what_is_due() -> None:
    """A mongod that is killed, or stands still, holds up a look for seconds; it is no reason to look away for as many
    minutes, while instants pass and are skipped as misfires."""
    assert pause_of_looks(15.0, found=False) < AHEAD.total_seconds()


class Nobody:
    """Leases of an etcd that has lost them all: no sender is seen, not even the one that looks."""

    def senders(self) -> int:
        return 0

    def held_by_anybody(self, prefix: str) -> set[Lane]:
        return set()

    def release(self, revisions: Mapping[Lane, int]) -> None:
        pass


def test_where_etcd_has_lost_every_lease_a_sender_still_knows_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [Lane(f"schedule/{n}") for n in range(300)]
    sending = SimpleNamespace(schedules_per_sender=100)
    services: Any = SimpleNamespace(db=None, fences=None, leases=Nobody(), settings=SimpleNamespace(sending=sending))
    lanes = Lanes(services, InFlight(), sender="s")
    monkeypatch.setattr(dispatching_lanes, "lanes_wanting_work", lambda *_, **__: wanted)
    asked: list[Lane] = []
    monkeypatch.setattr(
        dispatching_lanes, "take_lanes", lambda _db, _l, _f, some, **__: (asked.extend(some), ({}, ""))[1]
    )

    lanes.take_share(NOW)
    lanes.take_wanted(NOW)

    assert len(asked) == 50


def test_a_lane_that_is_set_aside_is_given_back_once_nothing_of_it_is_in_hand() -> None:
    """Its next holder would take what is in hand for a crash, and give it up after three."""
    released: list[Lane] = []

    class Releasing(Nobody):
        def release(self, revisions: Mapping[Lane, int]) -> None:
            released.extend(revisions)

    sending = SimpleNamespace(schedules_per_sender=100)
    services: Any = SimpleNamespace(db=None, leases=Releasing(), settings=SimpleNamespace(sending=sending))
    in_flight, claimed = InFlight(), a_claimed(lane="schedule/sch_1")
    idle, busy = Lane("schedule/sch_2"), claimed.claim.lane
    in_flight.take_lanes({idle: Token(4), busy: Token(5)}, at=0.0)
    in_flight.take([claimed])
    lanes = Lanes(services, in_flight, sender="s")

    lanes.note_broken(idle)
    lanes.note_broken(busy)
    lanes.set_aside_broken()

    assert (released, list(in_flight.tokens())) == ([idle], [busy])
    assert (in_flight.schedules(), in_flight.claimable_tokens()) == ({}, {})
    in_flight.done([claimed])
    lanes.take_share(NOW)
    assert released == [idle, busy]
