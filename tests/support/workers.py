"""Processes that have checked in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mailroom.domain.ids import Lane
from mailroom.domain.sender_rules import PROTOCOL
from mailroom.domain.workers import Activity, WorkerIdentity, WorkerKind
from mailroom.storage import workers
from mailroom.storage.database import Db

SINCE = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def a_worker(id_: str = "ann-1", **changes: Any) -> WorkerIdentity:
    """A sender, unless another kind is given."""
    known: dict[str, Any] = {
        "kind": WorkerKind.SENDER,
        "host": "ann",
        "address": "192.0.2.7",
        "pid": 4711,
        "version": "1.2.3",
        "protocol": PROTOCOL,
        "since": SINCE,
    }
    return WorkerIdentity(id_, **(known | changes))


def checked_in(
    db: Db,
    id_: str = "ann-1",
    lanes: Sequence[Lane] = (),
    *,
    in_flight: int = 0,
    ago: timedelta = timedelta(),
    **of: Any,
) -> None:
    """It has checked in, so long ago."""
    workers.check_in(db, a_worker(id_, **of), Activity(lanes, in_flight))
    if ago:
        db.workers.update_one({"_id": id_}, {"$set": {"checked_in_at": datetime.now(UTC) - ago}})


def checked_in_by_an_earlier_version(db: Db, id_: str, lanes: Sequence[Lane] = ()) -> None:
    """A document as senders wrote it before processes said who they are."""
    db.workers.insert_one({"_id": id_, "lanes": list(lanes), "checked_in_at": datetime.now(UTC)})
