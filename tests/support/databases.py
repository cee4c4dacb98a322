"""Databases that tests have one after the other, each empty and with every index when a test gets it.

A new database is some hundred files, made, synced and removed: half a second on a memory disk, two on a disk, and a
server that is busy with them answers everybody late. Emptying a database costs a tenth of that.
"""

import secrets
from dataclasses import dataclass
from typing import Any, Final

from pymongo import MongoClient, WriteConcern
from redis import Redis

from local.servers import Servers
from mailroom.storage.database import Db

#: With more documents than this, removing the database is quicker than emptying it.
_FEW: Final = 2000


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a database consists of; a test that changed it leaves the database to nobody."""

    collections: int
    indexes: int


class Databases:
    """The databases of one mongod. A test names one by `take`, and hands it over with `put_away` at its end."""

    def __init__(self, servers: Servers) -> None:
        self._mongo: MongoClient[dict[str, Any]] = MongoClient(servers.mongo_url)
        self._redis = Redis.from_url(servers.redis_url)
        self._free: list[str] = []
        self._shapes: dict[str, _Shape] = {}

    def take(self) -> str:
        """The name of an empty database; no other test has it."""
        while self._free:
            name = self._free.pop()
            if _stats(self._mongo[name])["objects"] == 0:
                return name
            # A thread that outlived its test wrote once more.
            self._mongo.drop_database(name)
        return f"test_{secrets.token_hex(6)}"

    def prepared(self, db: Db) -> None:
        """Remember the database as it is when a test gets it."""
        if db.name not in self._shapes:
            self._shapes[db.name] = _shape(_stats(db))

    def put_away(self, db: Db, *, used_by_processes: bool) -> None:
        """Keep an emptied database for the next test; remove one that is not worth the work, or may not stay empty: a
        killed process leaves its open transaction behind."""
        stats = _stats(db)
        if used_by_processes or stats["objects"] > _FEW or self._shapes.get(db.name) != _shape(stats):
            db.client.drop_database(db.name)
        else:
            self._empty(db)
            self._free.append(db.name)

    def _empty(self, db: Db) -> None:
        for name in db.list_collection_names():
            db.get_collection(name, write_concern=WriteConcern(w=1)).delete_many({})
        if keys := list(self._redis.scan_iter(match=f"*:{db.name}:*", count=10_000)):
            self._redis.delete(*keys)

    def close(self) -> None:
        """End the connections."""
        self._mongo.close()
        self._redis.close()


def _stats(db: Db) -> dict[str, Any]:
    return dict(db.command("dbStats"))


def _shape(stats: dict[str, Any]) -> _Shape:
    return _Shape(stats["collections"], stats["indexes"])
