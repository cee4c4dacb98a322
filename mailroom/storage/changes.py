"""Changes of the collections that hold work, as they happen: a sender without work waits for one, where it would ask
again and again otherwise.

A change stream of MongoDB shows each change once a majority has it. It needs the right `changeStream`, which the role
`readWrite` contains.
"""

from typing import Final

from pymongo.command_cursor import CommandCursor
from pymongo.errors import OperationFailure

from mailroom.storage import holds
from mailroom.storage.database import Db, Document, briefly, guarded, unhurried
from mailroom.storage.dispatches import document as dispatch_document
from mailroom.storage.schedules import run_document, schedule_document

_OF_WORK: Final = (
    dispatch_document.COLLECTION,
    schedule_document.COLLECTION,
    run_document.COLLECTION,
    holds.COLLECTION,
)
_ONE_WAIT_S: Final = 10.0


class ChangesRefused(Exception):
    """MongoDB does not let this user watch, or has ended the watch."""


class Changes:
    """The changes since it was opened. For one thread at a time, except `interrupt` and `is_current`."""

    def __init__(self, db: Db, cursor: CommandCursor[Document]) -> None:
        self._db, self._cursor = db, cursor

    @property
    def is_current(self) -> bool:
        """False once another member is the primary: a former primary may show changes late, or none any more."""
        return self._db.client.primary in (None, self._cursor.address)

    @unhurried
    def wait(self) -> bool:
        """True once there is a change, or MongoDB has closed this watch, as it does when the database is dropped; False
        after ten seconds without. Raises Unavailable; ChangesRefused after `interrupt`."""
        try:
            return self._cursor.try_next() is not None or not self._cursor.alive
        except OperationFailure as error:
            raise _told(error) from error

    @briefly
    def interrupt(self) -> None:
        """End a wait of another thread. Raises Unavailable."""
        self._db.command("killCursors", "$cmd.aggregate", cursors=[self._cursor.cursor_id])

    @briefly
    def close(self) -> None:
        """Raises Unavailable."""
        self._cursor.close()


@guarded
def open_changes(db: Db) -> Changes:
    """All changes of work from now on, until the first error. Raises Unavailable, ChangesRefused."""
    of_work: Document = {"$match": {"ns.coll": {"$in": list(_OF_WORK)}}}
    stages: list[Document] = [{"$changeStream": {}}, of_work, {"$project": {"_id": 1}}]
    try:
        return Changes(db, db.aggregate(stages, maxAwaitTimeMS=int(_ONE_WAIT_S * 1000)))
    except OperationFailure as error:
        raise _told(error) from error


def _told(error: OperationFailure) -> Exception:
    """The error itself if MongoDB is away: `guarded` tells that."""
    return error if error.timeout or error.has_error_label("RetryableWriteError") else ChangesRefused(str(error))
