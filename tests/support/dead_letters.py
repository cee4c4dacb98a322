"""Provider requests that have failed."""

from mailroom.domain.ids import RunId, dispatch_id
from mailroom.storage.database import Db
from tests.support.builders import NOW
from tests.support.doubts import a_document


def failed_dispatches(db: Db, count: int, *, first: int = 0) -> list[str]:
    """Failed requests of one run, with one email each. Returns their ids."""
    ids = [dispatch_id(RunId("run-9"), number) for number in range(first, first + count)]
    failure = {"state": "failed", "reason": "550 no such user", "code": 550, "not_before": NOW}
    db.dispatches.insert_many([a_document(id_, run_id="run-9", **failure) for id_ in ids])
    db.messages.insert_many(
        {
            "_id": f"run-9/m{number}",
            "run_id": "run-9",
            "dispatch_id": id_,
            "address": f"reader-{number}@example.org",
            "name": "",
            "parts": {},
            "state": "failed",
        }
        for number, id_ in enumerate(ids, start=first)
    )
    return [str(id_) for id_ in ids]
