"""Collection `contents`: every revision of what a schedule sends. Never changed once written.

    _id         {"schedule": schedule id, "revision": int from 1}
    valid_from  due instants from here on take this revision (until a later one's valid_from)
    sender, reply_to, subject, text, html, tags
    topic       absent where the mail needs no consent;  footer: the postal address below bodies that lack a link
    written     what text and html were made of: text (null: it was made too), html (absent: the same), markdown, mjml,
                preheader, inline_css; absent where they are as they were written
    headers     of the schedule's own: pairs of name and value; absent without any
    files       that its mails carry: [{filename, content_type, content_id, digest, size}], see attachments.py; absent
                without any
    template    the version of a stored template that says subject and bodies (see template_pins.py); absent where the
                schedule says them. The bodies stand here all the same
    audience    id of the recipients' list;  recipients: how many it had
    lists       who it goes to: [{a: audience, segment, only: the segment's filter}]; absent: to all of `audience`
    excluded    who it does not go to, alike; absent: nobody
    feed        absent without one: url, headers (names with names of secrets), timeout_s, only_newer, when_empty,
                deadline_s, when_away

Indexes: `_id.schedule, valid_from` finds the revision of a due instant; `template.name, _id` (partial: of those with a
template) counts who uses a template (see template_users.py).
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.attached_files import AttachedFile
from mailroom.domain.audience_versions import ListChoice
from mailroom.domain.bodies.written import Written
from mailroom.domain.feeds.checking import fields_of
from mailroom.domain.feeds.model import Feed, WithoutFeed
from mailroom.domain.ids import AudienceId, ScheduleId, SegmentId
from mailroom.domain.schedules import Content, Revision
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded
from mailroom.storage.paging import Index
from mailroom.storage.template_pins import document_of, pin_of

COLLECTION: Final = "contents"
BY_TEMPLATE: Final[Index] = [("template.name", 1), ("_id", 1)]
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel([("_id.schedule", 1), ("valid_from", DESCENDING)]),
    IndexModel(list(BY_TEMPLATE), partialFilterExpression={"template.name": {"$exists": True}}),
)


def add(
    db: Db, schedule: ScheduleId, revision: int, content: Content, *, valid_from: datetime, session: Session
) -> None:
    db.contents.insert_one(_document(schedule, revision, content, valid_from), session=session)


@guarded
def get(db: Db, schedule: ScheduleId, revision: int) -> Content:
    """This very revision. It exists: runs and schedules only name stored ones."""
    return get_many(db, [(schedule, revision)])[schedule, revision]


@guarded
def get_many(db: Db, named: Sequence[tuple[ScheduleId, int]]) -> dict[tuple[ScheduleId, int], Content]:
    """These revisions, in one question. Raises LookupError if one is not stored."""
    ids = [{"schedule": schedule, "revision": revision} for schedule, revision in dict.fromkeys(named)]
    found = {}
    for doc in db.contents.find({"_id": {"$in": ids}}):
        found[doc["_id"]["schedule"], doc["_id"]["revision"]] = _content(doc)
    if missing := set(named) - found.keys():
        raise LookupError(f"content revisions are not stored: {sorted(missing)}")
    return found


@guarded
def feeds_of(db: Db, named: Sequence[tuple[ScheduleId, int]]) -> dict[tuple[ScheduleId, int], Feed]:
    """The feeds of these revisions, without the rest of what they say; none for a revision without one."""
    ids = [{"schedule": schedule, "revision": revision} for schedule, revision in dict.fromkeys(named)]
    rows = db.contents.find({"_id": {"$in": ids}, "feed": {"$exists": True}}, {"feed": 1})
    return {(doc["_id"]["schedule"], doc["_id"]["revision"]): _feed(doc["feed"]) for doc in rows}


@guarded
def histories(db: Db, schedules: Sequence[ScheduleId]) -> dict[ScheduleId, list[Revision]]:
    """For each schedule its revisions, newest first."""
    rows = db.contents.find({"_id.schedule": {"$in": list(schedules)}}, _FOR_PLANNING)
    found: dict[ScheduleId, list[Revision]] = {schedule: [] for schedule in schedules}
    for doc in rows.sort([("_id.schedule", 1), ("valid_from", DESCENDING)]):
        found[doc["_id"]["schedule"]].append(_revision(doc))
    return found


_FOR_PLANNING: Final = dict.fromkeys(
    ("valid_from", "audience", "recipients", "lists", "excluded", "feed.url", "template"), 1
)


def _revision(doc: Document) -> Revision:
    return Revision(
        doc["_id"]["revision"],
        doc["valid_from"],
        AudienceId(doc["audience"]),
        doc["recipients"],
        _choices(doc, "lists"),
        _choices(doc, "excluded"),
        has_feed="feed" in doc,
        template=pin_of(doc.get("template")),
    )


def _choices(doc: Document, field: str) -> tuple[ListChoice, ...]:
    return tuple(
        ListChoice(AudienceId(one["a"]), SegmentId(one["segment"]) if "segment" in one else None, one.get("only", ""))
        for one in doc.get(field, ())
    )


def _rows(choices: Sequence[ListChoice]) -> list[Document]:
    return [drop_unset({"a": one.audience, "segment": one.segment, "only": one.only or None}) for one in choices]


def _document(schedule: ScheduleId, number: int, content: Content, valid_from: datetime) -> Document:
    return drop_unset(
        {
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
            "topic": content.topic or None,
            "footer": content.footer or None,
            "lists": _rows(content.lists) or None,
            "excluded": _rows(content.excluded) or None,
            "feed": fields_of(content.feed) if content.feed else None,
            "written": _written(content),
            "headers": [list(pair) for pair in content.headers] or None,
            "template": document_of(content.template),
            "files": [asdict(file) for file in content.files] or None,
        }
    )


def _written(content: Content) -> Document | None:
    """Its HTML is not stored twice."""
    if content.written is None:
        return None
    written = asdict(content.written)
    return {name: value for name, value in written.items() if name != "html" or value != content.html}


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
        topic=doc.get("topic", ""),
        footer=doc.get("footer", ""),
        lists=_choices(doc, "lists"),
        excluded=_choices(doc, "excluded"),
        feed=_feed(doc["feed"]) if "feed" in doc else None,
        headers=tuple((name, value) for name, value in doc.get("headers", ())),
        written=_as_written(doc),
        template=pin_of(doc.get("template")),
        files=tuple(AttachedFile(**file) for file in doc.get("files", ())),
    )


def _feed(doc: Document) -> Feed:
    return Feed(
        url=doc["url"],
        headers=tuple(sorted(doc["headers"].items())),
        timeout_s=doc["timeout_s"],
        only_newer=doc["only_newer"],
        when_empty=WithoutFeed(doc["when_empty"]),
        deadline_s=doc["deadline_s"],
        when_away=WithoutFeed(doc["when_away"]),
    )


def _as_written(doc: Document) -> Written | None:
    written = doc.get("written")
    if written is None:
        return None
    return Written(
        text=written.get("text"),
        html=written.get("html", doc.get("html", "")),
        markdown=written.get("markdown", ""),
        mjml=written.get("mjml", ""),
        preheader=written.get("preheader", ""),
        inline_css=written.get("inline_css", False),
    )
