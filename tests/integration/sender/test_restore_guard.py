"""A sender's hold after a restore, and what API and pages are told of it."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.coordination.holds import Holds
from mailroom.coordination.mirror import Mirror
from mailroom.services.operations.metrics import why_senders_hold
from mailroom.storage.cluster import restore_mark
from mailroom.storage.cluster.restore_mark import Reached
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
