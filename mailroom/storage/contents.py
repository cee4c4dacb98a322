"""Collection `contents`: every revision of what a schedule sends. Never changed once written.

    _id         {"schedule": schedule id, "revision": int from 1}
    valid_from  due instants from here on take this revision (until a later one's valid_from)
    sender, reply_to, subject, text, html, tags
    audience    id of the recipients' list;  recipients: how many

Index `_id.schedule, valid_from`: the revision of a due instant.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.domain.schedules import Content
from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "contents"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("_id.schedule", 1), ("valid_from", DESCENDING)]),)


def add(db: Db, schedule: ScheduleId, revision: int, content: Content, *, valid_from: datetime, session: Session) -> None:
    db.contents.insert_one(_document(schedule, revision, content, valid_from), session=session)


@guarded
def revision(db: Db, schedule: ScheduleId, number: int) -> Content:
    """This very revision. It exists: runs and schedules only name stored ones."""
    doc = db.contents.find_one({"_id": {"schedule": schedule, "revision": number}})
    if doc is None:
        raise LookupError(f"revision {number} of {schedule} is not stored")
    return _content(doc)


@guarded
def valid_at(db: Db, schedule: ScheduleId, instants: Sequence[datetime]) -> list[tuple[int, Content]]:
    """For each instant its revision: the last one that was valid from it or earlier (or else the first ever)."""
    stored = list(db.contents.find({"_id.schedule": schedule}, _FOR_PLANNING).sort("valid_from", DESCENDING))
    found = []
    for instant in instants:
        doc = next((doc for doc in stored if doc["valid_from"] <= instant), stored[-1])
        found.append((int(doc["_id"]["revision"]), _content(doc)))
    return found


_FOR_PLANNING: Final = {"valid_from": 1, "audience": 1, "recipients": 1}


def _document(schedule: ScheduleId, number: int, content: Content, valid_from: datetime) -> Document:
    return {
        "_id": {"schedule": schedule, "revision": number},
        "valid_from": valid_from,
        "sender": content.sender,
        "reply_to": content.reply_to,
        "subject": content.subject,
        "text": content.text,
        "html": content.html,
        "tags": list(content.tags),
        "audience": content.audience,
        "recipients": content.recipients,
    }


def _content(doc: Document) -> Content:
    return Content(
        sender=doc.get("sender", ""),
        reply_to=doc.get("reply_to", ""),
        subject=doc.get("subject", ""),
        text=doc.get("text", ""),
        html=doc.get("html", ""),
        tags=tuple(doc.get("tags", ())),
        audience=AudienceId(doc["audience"]),
        recipients=doc["recipients"],
    )
