"""Uploaded files that wait for a person's word: whole, for their owner alone, and never many."""

from mailroom.services.schedules import uploads
from mailroom.storage.database import Db


def test_a_file_waits_for_its_owner_alone_and_only_the_newest_ones_do(db: Db) -> None:
    kept = [
        uploads.keep(db, bytes([n]) * size, f"{n}.csv", owner="ann") for n, size in enumerate((1, 2, 3, 0, 9_000_000))
    ]

    assert [uploads.get(db, one.id, owner="ann") is not None for one in kept] == [False, False, True, True, True]
    assert uploads.get(db, kept[-1].id, owner="bo") is None
    assert uploads.get(db, "", owner="ann") is None
    found = uploads.get(db, kept[-1].id, owner="ann")
    assert found is not None
    assert (found.data, found.filename) == (kept[-1].data, "4.csv")


def test_a_file_that_is_torn_is_none_and_one_that_is_dropped_is_gone(db: Db) -> None:
    torn, dropped = (uploads.keep(db, b"x" * 9_000_000, "a.csv", owner="ann") for _ in range(2))
    db.uploads.delete_one({"upload": torn.id, "n": 1})
    uploads.drop(db, dropped.id, owner="ann")

    assert uploads.get(db, torn.id, owner="ann") is None
    assert db.uploads.count_documents({"upload": dropped.id}) == 0
    assert any(index.get("expireAfterSeconds") == 86_400 for index in db.uploads.index_information().values())
