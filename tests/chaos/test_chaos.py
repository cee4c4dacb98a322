"""The short form of `make chaos`, and its negative controls."""

import importlib
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.ids import DispatchId, Lane, RunId
from mailroom.storage.dispatches import document as dispatches
from tests.chaos import draining
from tests.chaos.breaking import OF_STORIES
from tests.chaos.controls import CONTROLS, doubles
from tests.chaos.driving import run
from tests.chaos.members import UNAWARES, Card
from tests.chaos.points import POINTS, Point
from tests.support.system import System


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_every_step_at_which_chaos_kills_is_there(point: Point) -> None:
    """A sender that is armed with another one dies at its start, and is taken for one that was killed."""
    module, _, name = point.owner.partition(":")
    owner = importlib.import_module(module)

    assert callable(getattr(getattr(owner, name) if name else owner, point.function))


@pytest.mark.timeout(170)
def test_nothing_is_doubled_lost_or_unknown_while_everything_is_broken(tmp_path: Path) -> None:
    found = run(tmp_path, seed=4, schedules=8, recipients=100, mails=60, least_faults=40, senders=3, most_s=45.0)

    assert found.asked > 500
    assert found.faulty == {}


# One of each kind, and each store's leader.
CARDS = (
    Card("killed", "mongo", leader=True),
    Card("frozen", "etcd", leader=True),
    Card("cut off", "etcd", leader=False),
    Card("killed", "redis", leader=True),
    Card(UNAWARES, "redis", leader=True),
)


@pytest.mark.timeout(240)
def test_nor_while_members_of_clusters_are_killed_frozen_and_cut_off(tmp_path: Path) -> None:
    found = run(tmp_path, seed=7, schedules=4, recipients=60, mails=40, least_faults=0, senders=2, cards=CARDS)

    assert len(found.members) == len(CARDS)
    assert found.faulty == {}


@pytest.mark.timeout(240)
def test_nor_are_bounces_lost_or_counted_twice_while_their_mailbox_and_its_readers_are_killed(tmp_path: Path) -> None:
    size = {"schedules": 3, "recipients": 30, "mails": 20, "senders": 3}
    found = run(tmp_path, seed=9, **size, least_faults=40, most_s=40.0, second="smtp")

    assert found.stories["mails by SMTP that come back"].changes > 0
    assert found.faulty == {}


# What the verdict says of each.
RED = {"zones": "in the slice of", "erasures": "was erased before the run was asked for", "bounces": "events 'bounced'"}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("promise", OF_STORIES)
def test_a_promise_of_a_story_that_is_switched_off_makes_its_verdict_red(promise: str, tmp_path: Path) -> None:
    size = {"schedules": 1, "recipients": 4, "mails": 2, "senders": 2}
    second = "smtp" if promise == "bounces" else "sendgrid"
    only = "is frozen, shorter than its lease"
    found = run(tmp_path, seed=3, **size, least_faults=15, most_s=20.0, only=only, second=second, breaks=promise)

    assert any(RED[promise] in one for one in found.wrong)
    assert (found.lost, found.unknown, found.undrained) == ([], [], [])


@pytest.fixture
def waiting(system: System) -> SimpleNamespace:
    """A world with a lane in which something is due, whose time is over after a second."""
    inside: Any = None
    new = NewDispatch(DispatchId("em_1-e"), RunId("em_1"), None, Lane("mail/3"), 0, 1, 1, "digest")
    dispatches.add_many(system.db, [new], now=datetime.now(UTC), session=inside)
    return SimpleNamespace(system=system, lease_ttl_s=-4.0)


def test_a_lane_that_nobody_drains_is_seen(waiting: Any) -> None:
    calm = draining.watch(waiting)

    assert list(calm.waiting) == ["mail/3"]


def test_a_lane_in_which_something_moves_is_not_taken_for_one(waiting: Any) -> None:
    """However much waits in it behind that."""
    ended = threading.Event()

    def drain() -> None:
        while not ended.wait(0.1):
            waiting.system.db.dispatches.update_one({"_id": "em_1-e"}, {"$inc": {"attempt": 1}})

    somebody = threading.Thread(target=drain)
    somebody.start()
    calm = draining.watch(waiting)
    ended.set()
    somebody.join()

    assert (calm.lanes, calm.waiting) == (1, {})


@pytest.mark.parametrize("control", CONTROLS)
def test_a_promise_that_is_switched_off_makes_doubles(control: str, tmp_path: Path) -> None:
    assert doubles(control, tmp_path, broken=True) > 0


def test_a_sender_that_was_overtaken_sends_nothing(tmp_path: Path) -> None:
    assert doubles("fence", tmp_path, broken=False) == 0
