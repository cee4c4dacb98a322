"""Copy the database into a folder, as it stands at one moment, while everything works on.

A file of compressed BSON for each collection, and `manifest.json`, which is written last: a folder without it is no
backup. Nothing of Redis and etcd is copied; docs/operations.md says why.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import IO, Final

import structlog

from mailroom.domain.backups import FORM, CopiedCollection, Manifest
from mailroom.domain.errors import BackupRefused
from mailroom.services.operations.check_ins import version
from mailroom.storage import copies
from mailroom.storage.cluster import restore_mark, schema
from mailroom.storage.database import Db, Session, server_now, snapshot
from mailroom.storage.server_parameters import history_of

log = structlog.get_logger()
MANIFEST: Final = "manifest.json"
LONGEST_S: Final = 4 * 3600  # for which MongoDB is asked to keep the moment of the copy
_COMPRESSION: Final = 3  # half the time of the default, for a tenth more bytes


def file_of(folder: Path, collection: str) -> Path:
    return folder / f"{collection}.bson.gz"


def size(db: Db) -> int:
    """About how many documents a backup would have. Raises Unavailable."""
    return copies.estimated_total(db, copies.names(db))


def back_up(db: Db, folder: Path, *, advance: Callable[[int], None] = lambda _: None) -> Manifest:
    """Copy the database into a folder that is new or empty, for nobody else to read. `advance` is called with the
    number of each batch.

    What was written is removed if the copy cannot be completed. Raises BackupRefused, RestoreUnfinished, Unavailable.
    """
    schema.reached(db)  # refuses half a database, before anything is written
    _make(folder)
    written: list[Path] = []
    try:
        names = copies.names(db)
        copied_at = _moment(db)
        with history_of(db, LONGEST_S), snapshot(db) as session:
            mark, _ = restore_mark.mark(db, session=session)
            number = schema.reached(db, session=session)
            copied: dict[str, CopiedCollection] = {}
            for name in names:
                written.append(file_of(folder, name))
                copied[name] = _copy(db, name, written[-1], session, advance)
        manifest = Manifest(db.name, copied_at, number, mark, version(), copied)
        written.append(folder / MANIFEST)
        _write_manifest(written[-1], manifest)
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    log.info("backed_up", documents=manifest.documents, copied_at=copied_at)
    return manifest


def _moment(db: Db) -> datetime:
    """The time of the copy, by MongoDB's clock, as its mark tells it to a restore.

    The mark of a database that was itself put back is left alone: raised, it would say that all is well, and senders
    would go on though nobody has put it right.
    """
    number, marked_at, lost = restore_mark.mark_and_lost(db)
    if (lost and number < lost.number) or restore_mark.is_held(db):
        return marked_at or server_now(db)
    return restore_mark.raise_mark(db).at


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BackupRefused(f"{folder} is not empty: name a new folder")


def _copy(db: Db, collection: str, path: Path, session: Session, advance: Callable[[int], None]) -> CopiedCollection:
    digest, documents = hashlib.sha256(), 0
    with _private(path) as file, gzip.open(file, "wb", compresslevel=_COMPRESSION) as packed:
        for batch in copies.read(db, collection, session):
            packed.write(batch.raw)
            digest.update(batch.raw)
            documents += batch.documents
            advance(batch.documents)
    return CopiedCollection(documents, digest.hexdigest())


def _write_manifest(path: Path, manifest: Manifest) -> None:
    body = {"form": FORM, **asdict(manifest), "copied_at": manifest.copied_at.isoformat()}
    with _private(path) as file:
        file.write(json.dumps(body, indent=2).encode())
        file.flush()
        os.fsync(file.fileno())


def _private(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
