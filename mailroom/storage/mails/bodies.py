"""Collection `bodies`: what a single mail says; what is too large for a document lies in a file (see body_files).

    _id          email id
    text, html   strings; absent where they lie in a file
    headers      list of [name, value]: a header's name may hold what a field's name may not
    attachments  list of {filename, content_type, content_id, content | file}
    files        the files of text and html, where they lie there: {text, html}
    kept_since   when it was accepted, or when it was to be sent: it is kept for its retention time from then on

A file is written before the document that names it, and is named by an ObjectId in GridFS, by `bucket/key` in S3. Files
that no document names are swept away by the janitor.

Index: `kept_since` (TTL, see retention.py).
"""

import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from datetime import datetime, timedelta
from typing import Any, Final

from pymongo import IndexModel

from mailroom.domain.emails.model import Attachment, Body, ShownAttachment, ShownBody
from mailroom.domain.errors import BodiesAway, Unavailable
from mailroom.domain.errors_as_answers import as_answer
from mailroom.domain.ids import EmailId
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.body_files.reading import ReadingInTime
from mailroom.storage.body_files.references import FileGone, FileRef
from mailroom.storage.database import Db, Document, Session, guarded

COLLECTION: Final = "bodies"
INDEXES: Final[Sequence[IndexModel]] = ()
# MongoDB takes 16 MB a document and 16 MB a transaction's entry; a group of mails shares one.
INLINE_BYTES: Final = 256 * 1024
_LOOK_AGAIN: Final = timedelta(days=1)
_SWEEP_S: Final = 5.0  # about: other tidying waits for it


def put_aside(files: BodyFiles, email_id: EmailId, body: Body, *, until: float | None = None) -> Document:
    """Write what is too large for a document into files. Returns the document for `add_many`. `until`: the monotonic
    time after which no further file is begun. Raises Unavailable: then no mail names what was written."""

    def put(content: bytes) -> FileRef:
        if until is not None and time.monotonic() > until:
            raise BodiesAway("large bodies take too long to be stored: try again")
        return files.put(email_id, content)

    document: Document = {"_id": email_id, "headers": [list(header) for header in body.headers.items()], "files": {}}
    large = body.size > INLINE_BYTES
    for name in ("text", "html"):
        text = getattr(body, name)
        if large and len(text) > INLINE_BYTES // 4:
            document["files"][name] = put(text.encode())
        else:
            document[name] = text
    document["attachments"] = [_attachment(one, put if large else None) for one in body.attachments]
    return document


def add_many(db: Db, documents: Sequence[tuple[Document, datetime]], *, session: Session) -> None:
    """Each with the time since when it is kept."""
    kept = [{**doc, "kept_since": since} for doc, since in documents]
    db.bodies.insert_many(kept, ordered=False, session=session)


def get_many(
    db: Db, files: BodyFiles, ids: Sequence[EmailId], *, within_s: float | None = None
) -> dict[EmailId, Body | BodiesAway]:
    """The bodies that are still kept whole; for a body in S3, while that is away, the error. Raises Unavailable.

    `within_s`: the time for all their files, those of the first mails first. A mail for which it does not suffice has
    an error, too: ask again for it.
    """
    documents = {EmailId(doc["_id"]): doc for doc in _documents(db, ids)}
    reading = ReadingInTime(files, within_s=within_s)
    found: dict[EmailId, Body | BodiesAway] = {}
    for id_ in (id_ for id_ in dict.fromkeys(ids) if id_ in documents):
        with contextlib.suppress(FileGone):
            found[id_] = _body(reading, documents[id_])
    return found


@guarded
def kept_among(db: Db, ids: Collection[EmailId], *, session: Session | None = None) -> set[EmailId]:
    """The mails among these whose body is still kept."""
    rows = db.bodies.find({"_id": {"$in": sorted(ids)}}, {"_id": 1}, session=session)
    return {EmailId(doc["_id"]) for doc in rows}


@guarded
def headers_of(db: Db, email_id: EmailId) -> Mapping[str, str] | None:
    """The further headers of a mail; None if its body is not kept any more."""
    doc = db.bodies.find_one({"_id": email_id}, {"headers": 1})
    return dict(map(tuple, doc["headers"])) if doc else None


def shown(db: Db, files: BodyFiles, email_id: EmailId, *, most: int) -> ShownBody | None:
    """A body for people to read: at most `most` characters of each text, and no content of an attachment. None if the
    body is not kept whole any more. Raises Unavailable."""
    for doc in _documents(db, [email_id]):
        sizes = files.sizes(_files_of(doc))
        # Where a file is missing the time of the body is over: the janitor removes its files one by one.
        with contextlib.suppress(KeyError, FileGone):
            attached = [_shown(one, sizes) for one in doc["attachments"]]
            texts = {name: _beginning(files, doc, name, most) for name in ("text", "html")}
            cut = tuple(name for name, text in texts.items() if len(text) > most)
            return ShownBody(texts["text"][:most], texts["html"][:most], attached, cut)
    return None


def throw_away(files: BodyFiles, document: Document) -> None:
    """Remove the files of a document that was not stored. What fails here the janitor does."""
    with contextlib.suppress(Unavailable):
        for file in _files_of(document):
            files.delete(file)


def sweep(db: Db, files: BodyFiles, *, now: datetime, limit: int = 200) -> int:
    """Remove files that no body names: of a request that failed half-way, or of a body whose time is over.

    Each file is looked at when it is an hour old, and again every day, the longest waiting first. What a slow S3 leaves
    no time for is left to the next time. Raises Unavailable.
    """
    removed, until = 0, time.monotonic() + _SWEEP_S
    for home in files.homes:
        while due := home.due(now=now, limit=limit):
            named = _named(db, {email for _, email in due})
            home.look_again([file for file, _ in due if file in named], at=now + _LOOK_AGAIN)
            for file in (file for file, _ in due if file not in named):
                home.delete(file)
                removed += 1
                if time.monotonic() > until:
                    return removed
            if time.monotonic() > until:
                return removed
    return removed


@guarded
def _named(db: Db, ids: Set[EmailId]) -> set[FileRef]:
    """The files of these mails' bodies."""
    found = db.bodies.find({"_id": {"$in": list(ids)}}, {"files": 1, "attachments.file": 1})
    return {file for doc in found for file in _files_of(doc)}


@guarded
def _documents(db: Db, ids: Sequence[EmailId]) -> list[Document]:
    return list(db.bodies.find({"_id": {"$in": list(ids)}}))


def _files_of(document: Mapping[str, Any]) -> list[FileRef]:
    """Also those of fields that a later release added: the janitor removes what is not named here."""
    texts = [file for file in document["files"].values() if isinstance(file, FileRef)]
    return [*texts, *(one["file"] for one in document["attachments"] if "file" in one)]


def _attachment(one: Attachment, put: Callable[[bytes], FileRef] | None) -> Document:
    fields: Document = {"filename": one.filename, "content_type": one.content_type, "content_id": one.content_id}
    if put:
        return {**fields, "file": put(one.content)}
    return {**fields, "content": one.content}


def _body(reading: ReadingInTime, doc: Mapping[str, Any]) -> Body | BodiesAway:
    try:
        contents = reading.read(_files_of(doc))
    except BodiesAway as error:
        return as_answer(error)
    written = {name: doc[name] if name in doc else contents[doc["files"][name]].decode() for name in ("text", "html")}
    attachments = [
        Attachment(
            one["filename"],
            one["content_type"],
            bytes(one["content"]) if "content" in one else contents[one["file"]],
            one["content_id"],
        )
        for one in doc["attachments"]
    ]
    return Body(written["text"], written["html"], dict(map(tuple, doc["headers"])), attachments)


def _beginning(files: BodyFiles, doc: Mapping[str, Any], name: str, most: int) -> str:
    """A little more than `most` characters of a text, if it has more."""
    if name in doc:
        return str(doc[name])
    # A character has at most 4 bytes; the last one may be cut in two.
    return files.read(doc["files"][name], 4 * (most + 1)).decode(errors="ignore")


def _shown(attachment: Mapping[str, Any], sizes: Mapping[FileRef, int]) -> ShownAttachment:
    size = len(attachment["content"]) if "content" in attachment else sizes[attachment["file"]]
    return ShownAttachment(attachment["filename"], attachment["content_type"], attachment["content_id"], size)
