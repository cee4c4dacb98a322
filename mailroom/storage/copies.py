"""All collections as BSON: read at one moment for a backup, and inserted by a restore. No more than a batch is held."""

import gzip
import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bson
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.errors import OperationFailure

from mailroom.domain.errors import BackupRefused
from mailroom.storage.database import Db, Session, guarded

#: Who is at work or signed in at one moment means nothing at another.
NOT_COPIED: Final = frozenset({"workers", "sessions", "sign_in_links"})
_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)
# Error codes by which MongoDB cannot read a snapshot.
_NO_SNAPSHOT: Final = {
    239: "MongoDB does not keep one moment for as long as this backup takes: raise its parameter "
    "minSnapshotHistoryWindowInSeconds",  # SnapshotTooOld
    246: "a collection was made or indexed at this moment: try again",  # SnapshotUnavailable
}
_A_BATCH: Final = 1_000
_A_BATCH_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some documents, one after the other as BSON."""

    raw: bytes
    documents: int


@guarded
def names(db: Db) -> list[str]:
    """The collections that are copied, in the order of their names."""
    return sorted(
        name for name in db.list_collection_names() if not name.startswith("system.") and name not in NOT_COPIED
    )


@guarded
def estimated_total(db: Db, collections: Sequence[str]) -> int:
    """About how many documents these have."""
    return sum(db[name].estimated_document_count() for name in collections)


def read(db: Db, collection: str, session: Session) -> Iterator[RawBatch]:
    """Every document of a collection as the session's snapshot has it. Raises BackupRefused, Unavailable."""
    cursor = db[collection].find_raw_batches({}, batch_size=_A_BATCH, session=session)
    while batch := _next(cursor):
        yield RawBatch(batch, _count(batch))


@guarded
def _next(cursor: Any) -> bytes | None:
    try:
        found: bytes | None = next(cursor, None)
    except OperationFailure as error:
        if error.code in _NO_SNAPSHOT:
            raise BackupRefused(_NO_SNAPSHOT[error.code]) from error
        raise
    return found


def _count(raw: bytes) -> int:
    documents = at = 0
    while at < len(raw):
        (size,) = struct.unpack_from("<i", raw, at)
        at, documents = at + size, documents + 1
    return documents


def documents_of(path: Path) -> Iterator[RawBSONDocument]:
    """The documents of a compressed file. Raises BackupRefused if it is damaged."""
    try:
        with io.BufferedReader(gzip.open(path)) as file:
            yield from bson.decode_file_iter(file, codec_options=_RAW)
    except (BSONError, EOFError, OSError) as error:
        raise BackupRefused(f"the backup is damaged: {error}") from error


def insert(db: Db, collection: str, documents: Iterable[RawBSONDocument]) -> Iterator[int]:
    """Insert documents in batches; yields the number of each. Raises Unavailable."""
    batch: list[RawBSONDocument] = []
    size = 0
    for document in documents:
        batch.append(document)
        size += len(document.raw)
        if len(batch) >= _A_BATCH or size >= _A_BATCH_BYTES:
            yield _insert(db, collection, batch)
            batch, size = [], 0
    if batch:
        yield _insert(db, collection, batch)


@guarded
def _insert(db: Db, collection: str, batch: Sequence[RawBSONDocument]) -> int:
    db.get_collection(collection, codec_options=_RAW).insert_many(batch, ordered=False)
    return len(batch)


@guarded
def filled(db: Db) -> list[str]:
    """The collections with at least one document."""
    return sorted(
        name
        for name in db.list_collection_names()
        if not name.startswith("system.") and db[name].find_one({}, {"_id": 1})
    )


@guarded
def drop(db: Db, collections: Sequence[str]) -> None:
    """Drop what a restore that was cut off has left; its mark stays."""
    for name in collections:
        if name == "cluster":
            db.cluster.delete_many({"_id": {"$ne": "schema"}})
        else:
            db.drop_collection(name)


def without(documents: Iterable[RawBSONDocument], id_: str) -> Iterator[RawBSONDocument]:
    """The documents but one."""
    return (document for document in documents if document["_id"] != id_)
