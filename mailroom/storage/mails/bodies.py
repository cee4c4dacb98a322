"""Collection `bodies`: what a single mail says; what is too large for a document lies in GridFS beside it.

    _id          email id
    text, html   strings; absent where they lie in GridFS
    headers      list of [name, value]: a header's name may hold what a field's name may not
    attachments  list of {filename, content_type, content_id, content | file}
    files        ids in the GridFS bucket `bodies` of text and html, where they lie there: {text, html}
    kept_since   when it was accepted, or when it was to be sent: it is kept for its retention time from then on

GridFS is written before the document that names its files; files that no document names are swept away by the janitor.

Indexes: `kept_since` (TTL, see retention.py); of GridFS' files, `look_at`, for the janitor.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import pymongo
from bson import ObjectId
from gridfs import GridFSBucket
from gridfs.errors import NoFile
from pymongo import IndexModel
from pymongo.errors import PyMongoError

from mailroom.domain.emails.model import Attachment, Body
from mailroom.domain.ids import EmailId
from mailroom.storage.database import CALL_S, Db, Document, Session, guarded, server_now

COLLECTION: Final = "bodies"
INDEXES: Final[Sequence[IndexModel]] = ()
FILES_INDEX: Final = IndexModel([("metadata.look_at", 1)])
# MongoDB takes 16 MB a document and 16 MB a transaction's entry; a group of mails shares one.
INLINE_BYTES: Final = 256 * 1024
_YOUNG: Final = timedelta(hours=1)
_LOOK_AGAIN: Final = timedelta(days=1)


@guarded
def put_aside(db: Db, email_id: EmailId, body: Body) -> Document:
    """Write what is too large for a document into GridFS. Returns the document for `add_many`."""
    document: Document = {"_id": email_id, "headers": [list(header) for header in body.headers.items()], "files": {}}
    large = body.size > INLINE_BYTES
    for name in ("text", "html"):
        text = getattr(body, name)
        if large and len(text) > INLINE_BYTES // 4:
            document["files"][name] = _put(db, email_id, text.encode())
        else:
            document[name] = text
    document["attachments"] = [_attachment(db, email_id, one, large=large) for one in body.attachments]
    return document


def add_many(db: Db, documents: Sequence[tuple[Document, datetime]], *, session: Session) -> None:
    """Each with the time since when it is kept."""
    kept = [{**doc, "kept_since": since} for doc, since in documents]
    db.bodies.insert_many(kept, ordered=False, session=session)


@guarded
def get_many(db: Db, ids: Sequence[EmailId]) -> dict[EmailId, Body]:
    """The bodies that are still kept whole."""
    found = {}
    for doc in db.bodies.find({"_id": {"$in": list(ids)}}):
        with contextlib.suppress(NoFile):
            found[EmailId(doc["_id"])] = _body(db, doc)
    return found


def throw_away(db: Db, document: Document) -> None:
    """Remove the files of a document that was not stored. What fails here the janitor does."""
    with contextlib.suppress(PyMongoError, NoFile), pymongo.timeout(CALL_S):
        for file in _files_of(document):
            _bucket(db).delete(file)


@guarded
def sweep(db: Db, *, now: datetime, limit: int = 200) -> int:
    """Remove files that no body names: of a request that failed half-way, or of a body whose time is over.

    Each file is looked at when it is an hour old, and again every day, the longest waiting first.
    """
    files = db["bodies.files"]
    due = {"metadata.look_at": {"$lt": now}}
    found = list(files.find(due, {"metadata": 1}).sort("metadata.look_at", 1).limit(limit))
    emails = list({doc["metadata"]["email"] for doc in found})
    named = {file for body in db.bodies.find({"_id": {"$in": emails}}) for file in _files_of(body)}
    kept = [doc["_id"] for doc in found if doc["_id"] in named]
    files.update_many({"_id": {"$in": kept}}, {"$set": {"metadata.look_at": now + _LOOK_AGAIN}})
    unnamed = [doc["_id"] for doc in found if doc["_id"] not in named]
    for file in unnamed:
        _bucket(db).delete(file)
    return len(unnamed)


def _files_of(document: Mapping[str, Any]) -> list[ObjectId]:
    attached = [one["file"] for one in document["attachments"] if "file" in one]
    return [*document["files"].values(), *attached]


def _attachment(db: Db, email_id: EmailId, one: Attachment, *, large: bool) -> Document:
    told: Document = {"filename": one.filename, "content_type": one.content_type, "content_id": one.content_id}
    if large:
        return {**told, "file": _put(db, email_id, one.content)}
    return {**told, "content": one.content}


def _put(db: Db, email_id: EmailId, content: bytes) -> ObjectId:
    told = {"email": email_id, "look_at": server_now(db) + _YOUNG}
    return _bucket(db).upload_from_stream(email_id, content, metadata=told)


def _body(db: Db, doc: Mapping[str, Any]) -> Body:
    written = {name: doc[name] if name in doc else _read(db, doc["files"][name]).decode() for name in ("text", "html")}
    attachments = [
        Attachment(
            one["filename"],
            one["content_type"],
            bytes(one["content"]) if "content" in one else _read(db, one["file"]),
            one["content_id"],
        )
        for one in doc["attachments"]
    ]
    return Body(written["text"], written["html"], dict(map(tuple, doc["headers"])), attachments)


def _read(db: Db, file: ObjectId) -> bytes:
    content: bytes = _bucket(db).open_download_stream(file).read()
    return content


def _bucket(db: Db) -> GridFSBucket:
    return GridFSBucket(db, bucket_name=COLLECTION)
