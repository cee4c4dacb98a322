"""Collection `templates`: one document a stored template, its newest version (older ones: template_versions.py).

    _id          its name
    subject, text, html, variables (names), version, updated_at, updated_by
    kind         `layout` or `partial`; absent for a template of mails
    written      what they were made of: subject, text, html, markdown, mjml, preheader, layout, without those that are
                 empty; absent where it is the same. Else `text` and `html` are flat, with layout and partials in them
    html_fields  names whose values are HTML; absent without any
    uses         [{name, version}]: the versions of layouts and partials that are in it;  depth: of their levels. Both
                 absent without any
    owner        the owner of the token that made it: only that owner's tokens and `admin` change it. Absent: any token
                 with scope `mail` does (stored before templates had owners)

    name_starts  the parts of its name as searches compare them (see domain/name_keys.py); a process of an earlier
                 version stores it without

Written by the API and the pages; read when a mail is handed in or a schedule saved: what was made before a change stays
as it was.

Indexes: `_id`, in whose order they are listed; `name_starts, _id` finds names; `kind, _id` lists
the names of a kind; `uses.name, _id` those that are made with a layout or partial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from pymongo import IndexModel, UpdateOne

from mailroom.domain.errors import TemplateNotFound
from mailroom.domain.name_keys import term_key, word_starts
from mailroom.domain.searches import BoundedCount
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.template_sources import TemplateSource
from mailroom.domain.templates import Template, TemplateKind
from mailroom.storage import paging
from mailroom.storage import template_pins as pins
from mailroom.storage.database import AlreadyThere, Db, Document, Session, drop_unset, guarded, insert_new
from mailroom.storage.paging import Index

COLLECTION: Final = "templates"
BY_WORD: Final[Index] = [("name_starts", 1), ("_id", 1)]
BY_KIND: Final[Index] = [("kind", 1), ("_id", 1)]
BY_USE: Final[Index] = [("uses.name", 1), ("_id", 1)]
INDEXES: Final[Sequence[IndexModel]] = tuple(IndexModel(list(index)) for index in (BY_WORD, BY_KIND, BY_USE))
_A_STEP: Final = 1_000


@guarded
def get(db: Db, name: str) -> Template:
    """Raises TemplateNotFound."""
    found = get_many(db, [name])
    if not found:
        raise TemplateNotFound(name)
    return found[name]


@guarded
def get_many(db: Db, names: Sequence[str]) -> dict[str, Template]:
    return {doc["_id"]: template_of(doc) for doc in db.templates.find({"_id": {"$in": list(names)}})}


@guarded
def page(db: Db, *, after: str, limit: int) -> list[Template]:
    """In the order of their names."""
    return [template_of(doc) for doc in db.templates.find({"_id": {"$gt": after}}).sort("_id", 1).limit(limit)]


@guarded
def page_named(db: Db, term: str, *, after: str, limit: int) -> list[Template]:
    """Those that a search term finds, in the order of their names. What it finds is sorted in memory, names alone: the
    caller has counted that it is not too much."""
    query = _named(term) | {"_id": {"$gt": after}}
    rows = db.templates.find(query, {"_id": 1}).sort("_id", 1).hint(list(BY_WORD)).limit(limit)
    names_ = [doc["_id"] for doc in rows]
    found = get_many(db, names_)
    return [found[name] for name in names_ if name in found]


@guarded
def count(db: Db, term: str = "") -> BoundedCount:
    """How many there are, or how many the term finds, as far as COUNTED."""
    if not term:
        return paging.count(db.templates, {}, index=[("_id", 1)])
    return paging.count(db.templates, _named(term), index=BY_WORD)


def _named(term: str) -> Document:
    """A key holds letters, digits and spaces only: none of them means anything else in an expression."""
    return {"name_starts": {"$regex": f"^{term_key(term)}"}}


@guarded
def fill_in_words(db: Db) -> int:
    """A batch of a migration: write what searches need into templates that an earlier version stored. Returns how many;
    0 when none is left."""
    absent = db.templates.find({"name_starts": None}, {"_id": 1}).hint(list(BY_WORD)).limit(_A_STEP)
    writes = [UpdateOne({"_id": doc["_id"]}, {"$set": {"name_starts": word_starts(doc["_id"])}}) for doc in absent]
    if writes:
        db.templates.bulk_write(writes, ordered=False)
    return len(writes)


@guarded
def names(db: Db, kind: TemplateKind, *, limit: int) -> list[str]:
    """The names of the first ones of a kind, in their order."""
    of = {"kind": kind if kind is not TemplateKind.TEMPLATE else None}
    rows = db.templates.find(of, {"_id": 1}).sort("_id", 1).hint(list(BY_KIND)).limit(limit)
    return [doc["_id"] for doc in rows]


@guarded
def made_with(db: Db, name: str, *, limit: int) -> list[str]:
    """The names of the first templates that a layout or partial is in, on any level."""
    rows = db.templates.find({"uses.name": name}, {"_id": 1}).sort("_id", 1).hint(list(BY_USE)).limit(limit)
    return [doc["_id"] for doc in rows]


@guarded
def count_made_with(db: Db, name: str) -> BoundedCount:
    return paging.count(db.templates, {"uses.name": name}, index=BY_USE)


def put(db: Db, template: Template, *, seen: Template | None, session: Session) -> None:
    """Store the newest version, in place of the one that was `seen`. Raises AlreadyThere if another one is stored by
    now, or another owner's."""
    doc = document_of(template) | {"name_starts": word_starts(template.name)}
    if seen is None:
        insert_new(db.templates, [doc], session)
        return
    before = {"_id": seen.name, "version": seen.version, **_of(seen.owner)}
    if db.templates.replace_one(before, doc, session=session).matched_count != 1:
        raise AlreadyThere


def remove(db: Db, seen: Template, *, session: Session) -> None:
    """Raises AlreadyThere if another version is stored by now, or another owner's, or none."""
    gone = db.templates.delete_one({"_id": seen.name, "version": seen.version, **_of(seen.owner)}, session=session)
    if gone.deleted_count != 1:
        raise AlreadyThere


def document_of(template: Template) -> Document:
    return drop_unset(
        {
            "_id": template.name,
            **template.content,
            "variables": sorted(template.variables),
            "version": template.version,
            "updated_at": template.updated_at,
            "updated_by": template.updated_by,
            "owner": template.owner or None,
            "kind": template.kind if template.kind is not TemplateKind.TEMPLATE else None,
            "written": _document_of_source(template.written) if template.written else None,
            "uses": [pins.document_of(pin) for pin in template.uses] or None,
            "depth": template.depth or None,
            "html_fields": list(template.html_fields) or None,
        }
    )


def template_of(doc: Mapping[str, Any]) -> Template:
    return Template(
        name=doc["_id"],
        subject=doc["subject"],
        text=doc["text"],
        html=doc["html"],
        variables=frozenset(doc["variables"]),
        version=doc["version"],
        updated_at=doc["updated_at"],
        updated_by=doc.get("updated_by", ""),
        owner=doc.get("owner", ""),
        kind=TemplateKind(doc.get("kind", TemplateKind.TEMPLATE)),
        written=TemplateSource(**doc["written"]) if "written" in doc else None,
        uses=tuple(pin for one in doc.get("uses", ()) if (pin := pins.pin_of(one))),
        depth=doc.get("depth", 0),
        html_fields=tuple(doc.get("html_fields", ())),
    )


def _document_of_source(source: TemplateSource) -> Document:
    """Processes of an earlier version read subject, text and html."""
    return {name: value for name, value in asdict(source).items() if value or name in FIELDS}


def _of(owner: str) -> Document:
    return {"owner": owner or {"$exists": False}}
