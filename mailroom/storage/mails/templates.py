"""Collection `templates`: one document a template of single mails.

    _id          its name
    subject, text, html, variables (names), version, updated_at, updated_by
    owner        the owner of the token that made it: only that owner's tokens and `admin` change it. Absent: any token
                 with scope `mail` does (stored before templates had owners)

Written by the API; read when a mail is handed in: what was handed in before a change stays as it was.

Indexes: none but `_id`, in whose order they are listed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo import IndexModel
from pymongo.errors import DuplicateKeyError

from mailroom.domain.errors import TemplateNotFound
from mailroom.domain.templates import Template
from mailroom.storage.database import Db, Document, drop_unset, guarded

COLLECTION: Final = "templates"
INDEXES: Final[Sequence[IndexModel]] = ()


@guarded
def get(db: Db, name: str) -> Template:
    """Raises TemplateNotFound."""
    found = get_many(db, [name])
    if not found:
        raise TemplateNotFound(name)
    return found[name]


@guarded
def get_many(db: Db, names: Sequence[str]) -> dict[str, Template]:
    return {doc["_id"]: _template(doc) for doc in db.templates.find({"_id": {"$in": list(names)}})}


@guarded
def page(db: Db, *, after: str, limit: int) -> list[Template]:
    """In the order of their names."""
    return [_template(doc) for doc in db.templates.find({"_id": {"$gt": after}}).sort("_id", 1).limit(limit)]


@guarded
def put(db: Db, template: Template, *, by: str) -> bool:
    """Replace the version before, of the same owner. False if another version is stored, or another owner's."""
    doc = drop_unset(
        {
            "_id": template.name,
            **template.content,
            "variables": sorted(template.variables),
            "version": template.version,
            "updated_at": template.updated_at,
            "updated_by": by,
            "owner": template.owner or None,
        }
    )
    if template.version > 1:
        before = {"_id": template.name, "version": template.version - 1, **_of(template.owner)}
        return db.templates.replace_one(before, doc).matched_count == 1
    try:
        db.templates.insert_one(doc)
    except DuplicateKeyError:
        return False
    return True


@guarded
def remove(db: Db, template: Template) -> bool:
    """False if it is not there, or belongs to another owner by now."""
    return db.templates.delete_one({"_id": template.name, **_of(template.owner)}).deleted_count == 1


def _of(owner: str) -> Document:
    return {"owner": owner or {"$exists": False}}


def _template(doc: Mapping[str, Any]) -> Template:
    texts = (doc["subject"], doc["text"], doc["html"])
    return Template(
        doc["_id"], *texts, frozenset(doc["variables"]), doc["version"], doc["updated_at"], doc.get("owner", "")
    )
