"""A sender's hold after a restore, and what API and pages are told of it."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.coordination.holds import Holds
from mailroom.coordination.mirror import Mirror
from mailroom.services.operations import older_copy
from mailroom.services.operations.metrics import why_senders_hold
from mailroom.storage.cluster import restore_mark
from mailroom.storage.cluster.restore_mark import Healthy, Reached
from mailroom.storage.database import server_now
from sender.restore_guard import RestoreGuard
from tests.support.system import System


@pytest.fixture
def guard(system: System) -> Iterator[RestoreGuard]:
    db, url = system.db, system.settings.stores.redis_url
    mirror, holds = Mirror(url, of=db.name), Holds(url, of=db.name)
    services: Any = SimpleNamespace(db=db, mirror=mirror, holds=holds)
    yield RestoreGuard(services)
    mirror._redis.delete(f"mailroom:mongodb:{db.name}")
    mirror.close()
    holds.close()


def test_a_sender_knows_when_mongodb_was_put_right_though_it_never_saw_the_older_copy(
    system: System, guard: RestoreGuard
) -> None:
    """What was written since then may have the names of what it has read before."""
    seen = [guard.seen.restored_at]
    for _ in range(2):
        restore_mark.raise_mark(system.db, remembers=True)
        guard.recheck()
        assert not guard.is_held()
        seen.append(guard.seen.restored_at)

    assert seen[0] is None
    assert len(set(seen)) == 3


def test_a_check_that_is_asked_for_during_another_is_made(
    system: System, guard: RestoreGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, check = [0], older_copy.check

    def asked_meanwhile(*stores: Any) -> older_copy.OlderCopy | Healthy:
        checked[0] += 1
        state = check(*stores)
        if checked[0] == 1:
            guard.recheck()
        return state

    monkeypatch.setattr(older_copy, "check", asked_meanwhile)

    guard.is_held()
    assert not guard.is_fresh
    guard.is_held()
    assert guard.is_fresh
    guard.is_held()
    assert checked == [2]


def test_nothing_is_planned_while_the_older_copy_is_being_noted(
    system: System, guard: RestoreGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not guard.is_held()
    restore_mark.note_lost(system.db, Reached(100, server_now(system.db)))
    fresh: list[bool] = []
    monkeypatch.setattr(older_copy, "note_held", lambda *_, **__: fresh.append(guard.is_fresh))
    guard.recheck()

    assert guard.is_held()

    assert fresh == [False]


def test_a_note_that_comes_after_the_word_that_all_is_well_does_not_stay(system: System, guard: RestoreGuard) -> None:
    db = system.db
    restore_mark.note_lost(db, Reached(100, server_now(db)))
    assert guard.is_held()
    assert not guard.is_fresh
    restore_mark.raise_mark(db, 100)  # as a person does, who then notes that nobody holds
    restore_mark.note_held(db, False)
    restore_mark.note_held(db, True)  # a sender had looked before

    guard.recheck()

    assert not guard.is_held()
    assert why_senders_hold(db) == ""
