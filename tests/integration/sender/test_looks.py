"""What a sender finds to claim, round after round, where more is due than there is room for."""

import time
from collections.abc import Callable, Collection
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import Rank
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import Lane, RunId, ScheduleId, Token, dispatch_id
from mailroom.services.dispatching import claims
from mailroom.services.dispatching.claims import Waiting
from mailroom.services.mails.accept import Outbox
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from mailroom.storage.holds import NOTHING_HELD, OnHold
from sender import looks as looks_module
from sender.in_flight import InFlight
from sender.looks import Looks

PLANNED, OTHER = Lane("schedule/planned"), Lane("schedule/other")
HELD = {lane: Token(1) for lane in (Lane("mail/0"), Lane("mail/1"), PLANNED, OTHER)}
ROOM = 4


@pytest.fixture
def outbox(db: Db) -> Outbox:
    lanes.raise_tokens(db, HELD, "tests", now=server_now(db))
    return Outbox(db, lanes=2)


@pytest.fixture
def guard() -> Any:
    return SimpleNamespace(on_hold=NOTHING_HELD)


@pytest.fixture
def looks(db: Db, guard: Any) -> Looks:
    services: Any = SimpleNamespace(db=db)
    connections: Any = SimpleNamespace(limit=ROOM)
    return Looks(services, InFlight(), guard, connections)


@pytest.fixture
def looks_at_all(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Tells how many looks were at all that is due. The one that comes once a second is switched off."""
    count, look = [0], claims.claimable

    def counted(*args: Any, **kwargs: Any) -> Waiting:
        count[0] += 1
        return look(*args, **kwargs)

    monkeypatch.setattr(claims, "claimable", counted)
    monkeypatch.setattr("sender.look_back._ALL_EVERY_S", 3_600.0)
    return lambda: count[0]


def hand_in(outbox: Outbox, db: Db, count: int, priority: str = "normal") -> list[str]:
    """Hand mails in that are due one after the other. Returns the ids of their dispatches."""
    draft = EmailDraft(sender="a@mg.example.com", to=("bo@example.org",), subject="Hi", text="Yo", priority=priority)
    ids = [dispatch_id(RunId(outbox.hand_in(draft, owner="ann").id), 0) for _ in range(count)]
    began = server_now(db) - timedelta(milliseconds=count)
    for number, id_ in enumerate(ids):
        db.dispatches.update_one({"_id": id_}, {"$set": {"not_before": began + timedelta(milliseconds=number)}})
    return list(ids)


def a_round(looks: Looks, db: Db, *, claimed: bool = True, being_planned: Collection[Lane] = ()) -> list[str]:
    """What a round finds. `claimed`: it claims all of that; otherwise nothing."""
    waiting = looks.waiting(HELD, server_now(db), ROOM, being_planned=being_planned)
    ids = [one.id for one in waiting.dispatches]
    if claimed:
        db.dispatches.update_many({"_id": {"$in": ids}}, {"$set": {"state": "sending"}})
    looks.note_handed_over(waiting, len(waiting) if claimed else 0)
    return list(ids)


def test_one_look_at_all_serves_the_rounds_after_it(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int]
) -> None:
    mails = hand_in(outbox, db, 10)

    rounds = [a_round(looks, db) for _ in range(4)]

    assert rounds == [mails[:4], mails[4:8], mails[8:], []]
    assert looks_at_all() == 1


def test_a_mail_that_is_more_urgent_goes_before_what_was_noted(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int]
) -> None:
    mails = hand_in(outbox, db, 10)
    a_round(looks, db)
    (urgent,) = hand_in(outbox, db, 1, "high")

    assert a_round(looks, db) == [urgent, *mails[4:7]]
    assert looks_at_all() == 1


def test_a_mail_that_is_not_more_urgent_goes_after_what_was_noted(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int]
) -> None:
    mails = hand_in(outbox, db, 6)
    a_round(looks, db)
    later = hand_in(outbox, db, 2)

    assert [a_round(looks, db), a_round(looks, db)] == [mails[4:], later]
    assert looks_at_all() == 1


def test_what_was_noted_and_cannot_go_any_more_is_passed_over(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int]
) -> None:
    mails = hand_in(outbox, db, 12)
    a_round(looks, db)
    db.dispatches.update_one({"_id": mails[4]}, {"$set": {"state": "cancelled"}})
    db.dispatches.update_one({"_id": mails[5]}, {"$set": {"not_before": server_now(db) + timedelta(hours=1)}})
    db.dispatches.update_one({"_id": mails[6]}, {"$set": {"crashes": 3}})  # it goes alone now
    db.dispatches.update_one({"_id": mails[7]}, {"$set": {"lane": "mail/7"}})  # held by somebody else

    assert a_round(looks, db) == mails[8:]
    assert looks_at_all() == 1


def test_what_a_round_did_not_claim_is_found_by_the_next(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sender.look_back._SOON_S", 3_600.0)  # the look that comes soon has a test of its own
    mails = hand_in(outbox, db, 3)

    assert [a_round(looks, db, claimed=False) for _ in range(3)] == [mails] * 3
    later = hand_in(outbox, db, 1)
    assert a_round(looks, db) == mails
    assert a_round(looks, db) == later
    assert looks_at_all() == 1


def test_behind_what_cannot_go_another_is_found_soon(db: Db, outbox: Outbox, looks: Looks) -> None:
    stuck = hand_in(outbox, db, 3)
    a_round(looks, db, claimed=False)
    later = hand_in(outbox, db, 1)
    time.sleep(0.1)  # such a look comes ten times a second

    assert a_round(looks, db, claimed=False) == stuck + later


def test_what_goes_alone_waits_for_the_planning_of_its_lane_and_a_second_at_most(
    db: Db, outbox: Outbox, looks: Looks
) -> None:
    alone, *others = hand_in(outbox, db, 4)
    db.dispatches.update_one({"_id": alone}, {"$set": {"crashes": 3}})
    found = [a_round(looks, db, claimed=False)]
    looks.wait_for_planning()
    found.append(a_round(looks, db, claimed=False))
    assert looks._alone_waits_since is not None
    looks._alone_waits_since -= 1
    looks.wait_for_planning()

    found.append(a_round(looks, db, claimed=False))

    assert found == [[alone], [alone], others]


def in_lane(db: Db, ids: list[str], lane: Lane) -> None:
    db.dispatches.update_many({"_id": {"$in": ids}}, {"$set": {"lane": lane}})


def test_what_waits_in_a_lane_that_is_being_planned_takes_no_room_and_stays_noted(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int]
) -> None:
    mails = hand_in(outbox, db, 12)
    in_lane(db, mails[:8], PLANNED)
    in_lane(db, mails[8:], OTHER)

    assert a_round(looks, db, being_planned={PLANNED}) == mails[8:]
    assert [a_round(looks, db), a_round(looks, db)] == [mails[:4], mails[4:8]]
    assert looks_at_all() == 1


def test_where_all_that_is_noted_waits_for_planning_what_is_behind_it_goes(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks_module, "_NOTED", 6)
    monkeypatch.setattr(looks_module, "_LOOK_AGAIN_S", 3_600.0)
    mails = hand_in(outbox, db, 13)
    in_lane(db, mails[:8], PLANNED)
    in_lane(db, mails[8:], OTHER)

    assert [a_round(looks, db, being_planned={PLANNED}) for _ in range(3)] == [mails[8:12], mails[12:], []]
    assert looks.noted_among({PLANNED, OTHER}) == {PLANNED}
    looks_before = looks_at_all()
    assert [a_round(looks, db, being_planned={PLANNED}) for _ in range(3)] == [[]] * 3
    assert looks_at_all() == looks_before
    assert a_round(looks, db) == mails[:4]


def test_a_lane_that_waits_keeps_no_other_from_being_noted(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int]
) -> None:
    mails = hand_in(outbox, db, 12)
    in_lane(db, mails[:4], PLANNED)
    in_lane(db, mails[4:], OTHER)
    waits = {"waits_until": server_now(db) + timedelta(hours=1), "waits_why": "a limit"}
    db.lanes.update_one({"_id": PLANNED}, {"$set": waits}, upsert=True)

    assert [a_round(looks, db) for _ in range(3)] == [mails[4:8], mails[8:], []]
    assert looks_at_all() == 1
    db.lanes.update_one({"_id": PLANNED}, {"$unset": dict.fromkeys(waits, "")})
    assert a_round(looks, db) == mails[:4]


def test_a_run_on_hold_keeps_no_other_from_being_noted(db: Db, outbox: Outbox, guard: Any, looks: Looks) -> None:
    mails = hand_in(outbox, db, 12)
    schedule = ScheduleId(PLANNED.removeprefix("schedule/"))
    held, going = RunId(f"{schedule}-1"), RunId(f"{schedule}-2")
    for some, run in ((mails[:4], held), (mails[4:8], going)):
        fields = {"lane": PLANNED, "run_id": run, "schedule_id": schedule, "rank": Rank.CAMPAIGN}
        db.dispatches.update_many({"_id": {"$in": some}}, {"$set": fields})
        db.runs.insert_one({"_id": run, "schedule_id": schedule, "state": "planned", "due_at": server_now(db)})
    guard.on_hold = OnHold(runs={held: schedule})

    assert [a_round(looks, db) for _ in range(3)] == [mails[8:], mails[4:8], []]
    guard.on_hold = NOTHING_HELD
    assert a_round(looks, db) == mails[:4]


def test_where_more_is_due_than_is_noted_a_look_at_all_finds_the_others(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks_module, "_NOTED", 6)
    mails = hand_in(outbox, db, 10)

    assert [a_round(looks, db) for _ in range(4)] == [mails[:4], mails[4:6], mails[6:], []]
    assert looks_at_all() == 2


def test_nothing_of_a_lane_that_waits_is_found(db: Db, outbox: Outbox, looks: Looks) -> None:
    mails = hand_in(outbox, db, 10)
    a_round(looks, db)
    waits = {"waits_until": server_now(db) + timedelta(hours=1), "waits_why": "a limit"}
    db.lanes.update_many({"_id": {"$in": list(HELD)}}, {"$set": waits})
    assert a_round(looks, db) == []

    db.lanes.update_many({}, {"$unset": dict.fromkeys(waits, "")})
    assert a_round(looks, db) == mails[4:8]


def test_after_a_look_that_failed_the_next_one_is_at_all(
    db: Db, outbox: Outbox, looks: Looks, looks_at_all: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    mails = hand_in(outbox, db, 6)
    a_round(looks, db)
    with monkeypatch.context() as context:
        context.setattr(claims, "claimable_among", MagicMock(side_effect=Unavailable("MongoDB is away")))
        with pytest.raises(Unavailable):
            a_round(looks, db)

    assert a_round(looks, db) == mails[4:]
    assert looks_at_all() == 2


def with_little_room(db: Db, guard: Any) -> Looks:
    """There are connections for urgent mails only."""
    in_flight = InFlight()
    in_flight.take_lanes(HELD, at=time.monotonic())
    services: Any = SimpleNamespace(db=db)
    connections: Any = SimpleNamespace(limit=64, room=lambda *, urgent: 2)
    return Looks(services, in_flight, guard, connections)


def test_while_there_is_room_for_little_only_what_is_urgent_is_found(db: Db, outbox: Outbox, guard: Any) -> None:
    looks = with_little_room(db, guard)
    hand_in(outbox, db, 3)
    found: list[list[str]] = []
    urgent: list[str] = []
    for _ in range(3):
        urgent += hand_in(outbox, db, 1, "high")
        time.sleep(0.03)  # such a look comes every 20 ms
        found.append(a_round(looks, db))

    assert found == [[one] for one in urgent]


def test_an_urgent_mail_that_was_not_handed_over_is_found_by_the_next_look(
    db: Db, outbox: Outbox, guard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sender.look_back._ALL_EVERY_S", 3_600.0)
    monkeypatch.setattr("sender.look_back._LATE", timedelta())  # each look begins where the last one ended
    looks = with_little_room(db, guard)
    a_round(looks, db)
    urgent = hand_in(outbox, db, 1, "high")
    db.dispatches.update_one({"_id": urgent[0]}, {"$set": {"not_before": server_now(db)}})
    found: list[list[str]] = []
    for claimed in (False, False, True):
        time.sleep(0.03)  # such a look comes every 20 ms
        found.append(a_round(looks, db, claimed=claimed))

    assert found == [urgent] * 3
