"""The stand-in for MongoDB answers as MongoDB does: the same schedules end in the same documents on a real one.

The stand-in for Redis is compared with the real scripts in tests/integration/coordination/test_fence_machine.py.
"""

import random
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest

from mailroom.storage.database import Db
from tests.interleavings.exploring import walk
from tests.interleavings.mongo import MemoryDb
from tests.interleavings.world import World


class _Real:
    """A real database that tells the virtual time, and shows its documents as the stand-in does."""

    codec_options = None

    def __init__(self, db: Db, now: Callable[[], datetime]) -> None:
        self._db, self._now, self.client = db, now, db.client
        self.changes = 0

    def command(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"localTime": self._now()}

    def __getattr__(self, name: str) -> Any:
        return _RealCollection(self, self._db[name])


class _RealCollection:
    def __init__(self, db: _Real, collection: Any) -> None:
        self._db, self._collection = db, collection

    @property
    def docs(self) -> dict[Any, Any]:
        return {doc["_id"]: doc for doc in self._collection.find()}

    def __getattr__(self, name: str) -> Any:
        self._db.changes += name not in ("find", "find_one", "aggregate")
        return getattr(self._collection, name)


def run(seed: int, db: Callable[[Callable[[], datetime]], Any]) -> tuple[list[str], dict[str, Any]]:
    claims = count(1)
    with patch("mailroom.services.dispatching.claims.new_claim_id", lambda: f"claim-{next(claims)}"):
        world = World(walk(random.Random(seed), 0.12), sizes=(2, 1), db=db)
        world.run()
    names = ("dispatches", "messages", "lanes", "runs", "controls", "cluster", "providers")
    kept = {name: dict(sorted(getattr(world.db, name).docs.items())) for name in names}
    del kept["cluster"]["mark"]["at"]  # by the server's clock, which is a real one
    kept["cluster"].pop("schema", None)  # a real database is prepared before its use
    return world.director.trace, kept


@pytest.mark.parametrize("seed", range(8))
def test_a_schedule_ends_in_the_same_documents_on_a_real_mongodb(db: Db, seed: int) -> None:
    trace, kept = run(seed, MemoryDb)

    real_trace, really_kept = run(seed, lambda now: _Real(db, now))

    assert kept == really_kept
    assert trace == real_trace
