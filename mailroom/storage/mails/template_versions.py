"""Collection `template_versions`: one document a version of a stored template. Never changed once written, and kept
when the template is removed: schedules, runs and mails name the versions that they are made of.

    _id     {"template": name, "version": int from 1}
    the other fields are those of collection `templates` (see templates.py), whose document is the newest version

Written in the transaction that makes the version. Templates that were stored before there were versions have only
their newest one, from their next change on.

Index `_id.template, _id.version`: the versions of a template.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.templates import Template
from mailroom.storage.database import Db, Document, Session, guarded, insert_new
from mailroom.storage.mails import templates

COLLECTION: Final = "template_versions"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("_id.template", 1), ("_id.version", DESCENDING)]),)


def add(db: Db, made: Sequence[Template], *, session: Session) -> None:
    """Raises AlreadyThere if one of these versions is stored."""
    insert_new(db.template_versions, [_document(template) for template in made], session)


@guarded
def newest(db: Db, name: str) -> int:
    """The number of the newest version that is stored; 0 without any."""
    doc = db.template_versions.find_one({"_id.template": name}, {"_id": 1}, sort=[("_id.version", DESCENDING)])
    return int(doc["_id"]["version"]) if doc else 0


@guarded
def find(db: Db, pin: PinnedTemplate) -> Template | None:
    doc = db.template_versions.find_one({"_id": {"template": pin.name, "version": pin.version}})
    return _template(doc) if doc else None


@guarded
def page(db: Db, name: str, *, before: int | None, limit: int) -> list[Template]:
    """Versions of a template, newest first. `before`: the last version of the page before."""
    query: Document = {"_id.template": name} | ({"_id.version": {"$lt": before}} if before is not None else {})
    return [_template(doc) for doc in db.template_versions.find(query).sort("_id.version", DESCENDING).limit(limit)]


def _document(template: Template) -> Document:
    id_ = {"template": template.name, "version": template.version}
    return templates.document_of(template) | {"_id": id_}


def _template(doc: Mapping[str, Any]) -> Template:
    return templates.template_of({**doc, "_id": doc["_id"]["template"]})
