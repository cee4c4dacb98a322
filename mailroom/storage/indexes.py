"""Every index that a query here needs, and those that earlier versions left."""

from typing import Final

from pymongo.errors import OperationFailure

from mailroom.storage import (
    controls,
    events,
    holds,
    lanes,
    rejected_requests,
    sessions,
    suppressions,
    tokens,
    webhook_tokens,
    workers,
)
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db, guarded
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.mails import bodies, emails
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import audiences, contents, runs, schedules, uploads

_INDEX_NOT_FOUND: Final = 27


def ensure_indexes(db: Db) -> None:
    """Every index that a query here needs; building one that stands already costs nothing."""
    for module in (
        schedules,
        contents,
        controls,
        audiences,
        runs,
        messages,
        emails,
        bodies,
        dispatches,
        rejected_requests,
        restored_fences,
        lanes,
        holds,
        events,
        sessions,
        suppressions,
        tokens,
        uploads,
        webhook_tokens,
        workers,
    ):
        indexes = module.INDEXES
        if indexes:
            guarded(db[module.COLLECTION].create_indexes)(list(indexes))
    for name in dispatches.OLD_INDEXES:
        _drop_index(db, dispatches.COLLECTION, name)
    guarded(db["bodies.files"].create_indexes)([bodies.FILES_INDEX])


@guarded
def _drop_index(db: Db, collection: str, name: str) -> None:
    """Drop an index; no change if there is none of this name."""
    try:
        db[collection].drop_index(name)
    except OperationFailure as error:
        if error.code != _INDEX_NOT_FOUND:
            raise
