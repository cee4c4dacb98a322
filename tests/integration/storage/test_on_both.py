"""Small storage functions that need no transaction, on the stand-in and on a real mongod.

The stand-in of this process answers in a moment, the real mongod is right. Each test here runs on both. Where the
stand-in differs the test fails, so nothing is ever believed on its word alone.
"""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import mongomock
import pytest

from mailroom.domain.holds import EVERYTHING, Hold
from mailroom.domain.ids import ScheduleId
from mailroom.domain.misfire import Replay
from mailroom.domain.rates import Limit, LimitKind, Per
from mailroom.storage import holds, providers, rate_limits, sessions
from mailroom.storage.cluster import etcd_epoch, ledger_runs, restore_mark
from mailroom.storage.database import Db, connect
from mailroom.storage.sessions import StoredSession

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


@pytest.fixture(params=["stand-in", "real"])
def db(request: pytest.FixtureRequest) -> Iterator[Db]:
    """An empty database, without indexes."""
    if request.param == "stand-in":
        yield mongomock.MongoClient(tz_aware=True).get_database("mailroom")
        return
    servers = request.getfixturevalue("servers")
    real = connect(servers.mongo_url.replace("/?", f"/test_{secrets.token_hex(6)}?"), app="tests")
    yield real
    real.client.drop_database(real.name)
    real.client.close()


def test_a_session_is_seen_ever_later_and_gone_once_removed(db: Db) -> None:
    session = StoredSession("hash", "token", NOW, NOW + timedelta(days=1))
    sessions.add(db, session)

    sessions.touch(db, "hash", now=LATER)
    sessions.touch(db, "hash", now=NOW)
    sessions.touch(db, "another", now=NOW)

    assert sessions.find(db, "hash") == replace(session, seen_at=LATER)
    sessions.remove(db, "hash")
    assert sessions.find(db, "hash") is None
    assert sessions.find(db, "another") is None


def test_a_warm_up_goes_on_while_it_stays_as_it_is_and_begins_anew_when_it_changes(db: Db) -> None:
    limit = Limit(LimitKind.DOMAIN, "example.org", 1_000, Per.DAY, (50, 100), NOW)
    rate_limits.put(db, limit, by="ann")

    same = rate_limits.put(db, replace(limit, mails=2_000, began_at=LATER), by="bo")
    other = rate_limits.put(db, replace(limit, warm_up=(10,), began_at=LATER), by="bo")

    assert (same.mails, same.began_at) == (2_000, NOW)
    assert other.began_at == LATER
    assert rate_limits.every(db) == [other]


def test_limits_are_listed_by_their_ids_and_removed_once(db: Db) -> None:
    for name in ("b.example", "a.example"):
        rate_limits.put(db, Limit(LimitKind.DOMAIN, name, 5, Per.HOUR, (), NOW), by="ann")

    assert [limit.name for limit in rate_limits.every(db)] == ["a.example", "b.example"]
    assert [rate_limits.remove(db, "domain/a.example") for _ in range(2)] == [True, False]


def test_a_hold_counts_its_changes_and_one_that_stands_is_not_changed(db: Db) -> None:
    assert holds.change(db, EVERYTHING, held=False, by="ann", now=NOW) == Hold(EVERYTHING)

    put = holds.change(db, EVERYTHING, held=True, by="ann", now=NOW)
    again = holds.change(db, EVERYTHING, held=True, by="bo", now=LATER)
    assert holds.standing(db).everything
    lifted = holds.change(db, EVERYTHING, held=False, by="bo", now=LATER)

    assert put == again
    assert (put.number, lifted.number, lifted.held) == (1, 2, False)
    assert not holds.standing(db).everything


def test_a_newer_hold_is_adopted_only_over_the_one_that_was_seen(db: Db) -> None:
    newer = Hold("run", 7, "ann", NOW)
    holds.adopt(db, Hold("run"), newer, of=ScheduleId("s"))
    assert holds.get(db, "run") == newer

    holds.adopt(db, Hold("run", 3), replace(newer, number=9), of=None)
    holds.adopt(db, Hold("run"), replace(newer, number=9), of=None)

    assert holds.get(db, "run") == newer
    assert holds.held_among(db, ["run", "other"]) == {"run"}
    assert holds.standing(db).runs == {"run": "s"}


def test_a_provider_that_was_switched_off_stays_in_its_place(db: Db) -> None:
    providers.enable(db, "ses", False, by="ann", now=NOW)

    assert [(one.name, one.enabled) for one in providers.standings(db, ["ses", "smtp"])] == [
        ("ses", False),
        ("smtp", True),
    ]


def test_the_fault_of_a_provider_lasts_for_a_while_after_it_was_last_seen_and_keeps_its_beginning(db: Db) -> None:
    providers.note_fault(db, "smtp", "$why.not {it: }", now=NOW)
    providers.note_fault(db, "smtp", "535 no", now=LATER)

    found = providers.faults(db, now=LATER + providers.FAULT_LASTS - timedelta(seconds=1))
    assert (found["smtp"].why, found["smtp"].since) == ("535 no", NOW)
    assert providers.faults(db, now=LATER + providers.FAULT_LASTS) == {}
    much_later = LATER + 2 * providers.FAULT_LASTS
    providers.note_fault(db, "smtp", "again", now=much_later)
    assert providers.faults(db, now=much_later)["smtp"].since == much_later
    providers.forget_fault(db, "smtp")
    assert providers.faults(db, now=much_later) == {}


def test_the_epoch_is_raised_where_etcd_lost_its_memory_and_by_one_of_many_that_see_it(db: Db) -> None:
    first = etcd_epoch.recall(db)
    assert etcd_epoch.epoch_for(db, first, cluster_id="a", revision=5) == 1

    known = etcd_epoch.recall(db)
    assert [etcd_epoch.epoch_for(db, known, cluster_id="a", revision=3) for _ in range(2)] == [2, 2]
    assert etcd_epoch.epoch_for(db, etcd_epoch.recall(db), cluster_id="b", revision=9) == 3
    etcd_epoch.raise_epoch(db, 7)
    assert etcd_epoch.recall(db).epoch == 8


def test_the_newest_ledger_and_the_hold_after_a_restore_are_kept(db: Db) -> None:
    assert ledger_runs.newest_ledger(db) is None
    assert not restore_mark.is_held(db)

    ledger_runs.note_ledger(db, at=NOW, wrong=3)
    restore_mark.note_held(db, True)
    restore_mark.set_replay(db, NOW, LATER)

    assert ledger_runs.newest_ledger(db) == (NOW, 3)
    assert restore_mark.is_held(db)
    assert restore_mark.replay(db) == Replay(NOW, LATER)
