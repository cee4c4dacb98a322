"""Changes of the contacts of an audience, in the collection `recipients` (see members.py).

What a contact was stays beside it, for runs that began before. So a change is two documents a contact, in the
transaction that moves the audience to its next version.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from pymongo import DeleteOne, InsertOne, ReplaceOne

from mailroom.domain.contacts import ContactChange
from mailroom.domain.ids import AudienceId
from mailroom.storage.audiences.members import fields_of
from mailroom.storage.database import Db, Document, Session

Write = InsertOne[Document] | ReplaceOne[Document] | DeleteOne


def write(
    db: Db,
    audience: AudienceId,
    changes: Sequence[ContactChange],
    stored: Mapping[str, Document],
    *,
    version: datetime,
    session: Session,
) -> None:
    """Make these changes from `version` on. `stored`: the documents of the contacts that change or leave, by their
    folded addresses, read in the same transaction."""
    writes = [one for change in changes for one in _writes(audience, change, stored.get(change.key), version)]
    if writes:
        db.recipients.bulk_write(writes, ordered=False, session=session)  # a command for each kind of write


def _writes(audience: AudienceId, change: ContactChange, stored: Document | None, version: datetime) -> Iterator[Write]:
    named = {"a": audience, "k": change.key}
    if stored:
        yield InsertOne({**stored, "_id": {**named, "u": version}, "until": version})
    if change.after:
        yield ReplaceOne({"_id": named}, {**fields_of(change.after), "since": version}, upsert=True)
    else:
        yield DeleteOne({"_id": named})
