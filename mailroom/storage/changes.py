"""Changes of the collections that hold work, as they happen: a sender without work waits for one, where it would ask
again and again otherwise.

A change stream of MongoDB shows each change once a majority has it. It needs the right `changeStream`, which the role
`readWrite` contains.
"""

from typing import Final

from pymongo.command_cursor import CommandCursor

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


class Changes:
    """The changes since it was opened. For one thread at a time, except `interrupt`."""

    def __init__(self, db: Db, cursor: CommandCursor[Document]) -> None:
        self._db, self._cursor = db, cursor

    @unhurried
    def wait(self) -> bool:
        """True once there is a change; False after ten seconds without. Raises Unavailable; OperationFailure after
        `interrupt`."""
        return self._cursor.try_next() is not None

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
    """All changes of work from now on, until the first error. Raises Unavailable; OperationFailure where this user may
    not watch."""
    of_work: Document = {"$match": {"ns.coll": {"$in": list(_OF_WORK)}}}
    stages: list[Document] = [{"$changeStream": {}}, of_work, {"$project": {"_id": 1}}]
    return Changes(db, db.aggregate(stages, maxAwaitTimeMS=int(_ONE_WAIT_S * 1000)))
