"""Reads of one moment."""

from pymongo.write_concern import WriteConcern

from mailroom.storage.database import Db, Session, in_snapshot


def test_a_collection_that_is_made_in_this_moment_can_be_read_of_one_moment(db: Db) -> None:
    """MongoDB refuses a moment before the collection was there."""
    quickly = db.with_options(write_concern=WriteConcern(w=1))

    def count(session: Session) -> int:
        return db.fresh.count_documents({}, session=session)

    for _ in range(100):
        quickly.drop_collection("fresh")
        quickly.create_collection("fresh")

        assert in_snapshot(db, count) == 0
