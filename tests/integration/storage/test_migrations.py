"""What earlier releases stored is brought into the form of this one, in steps that may be cut off and repeated."""

from collections.abc import Callable

import pytest

from mailroom.domain.errors import DatabaseTooNew, Unavailable
from mailroom.domain.schema import SCHEMA
from mailroom.storage import migrations
from mailroom.storage.cluster import schema
from mailroom.storage.database import Db, guarded
from mailroom.storage.migrations import Migration
from tests.support.system import System
from tests.support.terminal import Terminal

A_STEP = 10


@pytest.fixture
def several(db: Db, monkeypatch: pytest.MonkeyPatch) -> Callable[[Db], int]:
    """A step of the release in hand, over 25 documents of the form before."""

    def batch(db: Db) -> int:
        ids = [doc["_id"] for doc in db.things.find({"new": None}).limit(A_STEP)]
        return db.things.update_many({"_id": {"$in": ids}}, {"$set": {"new": 1}}).modified_count

    db.cluster.delete_one({"_id": "schema"})
    db.things.insert_many([{"_id": n} for n in range(25)])
    monkeypatch.setattr(migrations, "MIGRATIONS", [Migration(SCHEMA, "things_renewed", batch)])
    return batch


def test_a_migration_that_is_cut_off_goes_on_where_it_stood(db: Db, several: Callable[[Db], int]) -> None:
    cut_off = migrations.migrate(db, within_s=0)
    stood = schema.reached(db)
    rest = migrations.migrate(db, within_s=30)

    assert (cut_off, stood) == ({"things_renewed": A_STEP}, 0)
    assert (rest, schema.reached(db)) == ({"things_renewed": 15}, SCHEMA)


def test_documents_that_the_release_before_stores_during_a_migration_are_migrated_too(
    db: Db, several: Callable[[Db], int]
) -> None:
    migrations.migrate(db, within_s=30)
    db.things.insert_one({"_id": "late"})

    assert migrations.migrate(db, within_s=30) == {"things_renewed": 1}
    assert migrations.migrate(db, within_s=30) == {}


def test_the_steps_of_an_earlier_release_are_over_once_its_number_is_reached(
    db: Db, several: Callable[[Db], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "MIGRATIONS", [Migration(SCHEMA - 1, "things_renewed", several)])
    schema.reach(db, SCHEMA)

    assert migrations.migrate(db, within_s=30) == {}


def test_the_number_of_a_database_never_falls(db: Db) -> None:
    schema.reach(db, SCHEMA + 1)
    at = db.cluster.find_one({"_id": "schema"})

    schema.reach(db, SCHEMA)

    assert db.cluster.find_one({"_id": "schema"}) == at
    with pytest.raises(DatabaseTooNew):
        schema.reach(db, SCHEMA + 2)
        migrations.require_readable_database(db)
    db.cluster.delete_one({"_id": "schema"})


def test_indexes_that_others_replaced_are_dropped(db: Db) -> None:
    db.schedules.create_index([("state", 1), ("next_run_at", 1)])
    db.dispatches.create_index([("$**", 1)], wildcardProjection={"tell": 1}, name="seldom")

    assert [migrations.drop_replaced_indexes(db) for _ in range(2)] == [2, 0]


@pytest.mark.parametrize("part", ["web", "sender"])
def test_no_part_starts_on_a_database_that_is_too_new(system: System, part: str) -> None:
    schema.reach(system.db, SCHEMA + 2)
    try:
        refused = Terminal(system).process(part)
    finally:
        system.db.cluster.delete_one({"_id": "schema"})

    assert refused.code == 1
    assert f"Error: the database has schema {SCHEMA + 2}" in refused.err
    assert "Traceback" not in refused.err


def test_a_query_whose_index_is_dropped_meanwhile_is_to_be_asked_again(db: Db) -> None:
    """Another version starts, and drops what it has replaced, while this one reads along it."""
    db.runs.create_index("number", name="old")
    db.runs.insert_many([{"_id": str(number), "number": number} for number in range(300)])

    @guarded
    def numbers() -> list[int]:
        rows = db.runs.find({}, {"number": 1}).sort("number", 1).hint("old").batch_size(100)
        first = next(rows)
        db.runs.drop_index("old")
        return [doc["number"] for doc in (first, *rows)]

    with pytest.raises(Unavailable, match="index is gone"):
        numbers()
