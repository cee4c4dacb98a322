"""Bring what earlier releases stored into the form of this one, in small steps, while both run.

A step finds what it has to change by a query, so it goes on after a crash where it stood, and any number of processes
may run it at once. Every process runs the steps at its start, for a bounded time; senders go on from there. The steps
of this release are repeated for as long as it is the newest: a process of the release before may still store its own
form. A step that has no index to find its documents by is done at starts alone, which is enough: a process of the
release before has ended before the one in its place starts. So this release must read both forms, and the step of a
field that nobody reads any more is one of the next.

To add one: write it beside its collection, give it the number of the coming release here, and raise `SCHEMA`.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pymongo.errors import OperationFailure

from mailroom.domain.schema import SCHEMA, require_readable
from mailroom.storage.cluster import schema
from mailroom.storage.database import Db, guarded
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.mails import templates
from mailroom.storage.schedules import run_document, schedule_document, schedule_lists

_INDEX_NOT_FOUND: Final = 27


@dataclass(frozen=True, slots=True)
class Migration:
    """A step of one release: `batch` changes some documents and returns how many, 0 when none is left."""

    release: int
    name: str
    batch: Callable[[Db], int]
    at_starts: bool = False  # it reads a whole collection


def require_readable_database(db: Db) -> None:
    """Raises DatabaseTooNew, and Unavailable."""
    require_readable(schema.reached(db))


def migrate(db: Db, *, within_s: float, at_start: bool = False) -> dict[str, int]:
    """Run the steps that may have something left, for about `within_s` seconds; the number of the database is raised
    once nothing is. Returns how many documents each step changed, by its name. Raises Unavailable; to be repeated."""
    stored, ends_at = schema.reached(db), time.monotonic() + within_s
    done: dict[str, int] = {}
    for step in MIGRATIONS:
        if (stored < step.release or step.release == SCHEMA) and (at_start or not step.at_starts):
            while changed := step.batch(db):
                done[step.name] = done.get(step.name, 0) + changed
                if time.monotonic() >= ends_at:
                    return done
    if stored < SCHEMA:
        schema.reach(db, SCHEMA)
    return done


def drop_replaced_indexes(db: Db) -> int:
    """Drop the indexes that others have replaced. Returns how many there were."""
    old = [(of.COLLECTION, name) for of in (dispatches, run_document, schedule_document) for name in of.OLD_INDEXES]
    return sum(_drop_index(db, collection, name) for collection, name in old)


@guarded
def _drop_index(db: Db, collection: str, name: str) -> bool:
    """False if there is no such index. Looked up first, because a drop takes the collection's lock."""
    if name not in db[collection].index_information():
        return False
    try:
        db[collection].drop_index(name)
    except OperationFailure as error:
        if error.code != _INDEX_NOT_FOUND:
            raise
        return False
    return True


MIGRATIONS: Final[Sequence[Migration]] = (
    Migration(1, "names_filled_in", schedule_lists.fill_in_names),
    Migration(1, "names_renewed", schedule_lists.renew_names, at_starts=True),
    Migration(1, "indexes_dropped", drop_replaced_indexes),
    Migration(1, "template_names_filled_in", templates.fill_in_words),
)
