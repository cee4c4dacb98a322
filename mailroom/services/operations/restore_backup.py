"""Fill an empty database with a backup. It ends in the hold: senders send nothing until a person has run `mailroom
doctor --after-restore`, in whatever state Redis and etcd are."""

import gzip
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from mailroom.coordination.mirror import Mark, Mirror
from mailroom.domain.backups import FORM, CopiedCollection, Manifest
from mailroom.domain.errors import BackupRefused
from mailroom.domain.schema import require_readable
from mailroom.services.operations.backup import MANIFEST, file_of
from mailroom.storage import copies
from mailroom.storage.cluster import restore_mark, schema
from mailroom.storage.cluster.restore_mark import Reached
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()
_READ: Final = 1024 * 1024
_LAST: Final = "cluster"  # says what the rest is
FURTHER: Final = 1_000  # above the copy's mark: a sender that stood still, and raises it once more, ends no hold


def read_manifest(folder: Path) -> Manifest:
    """What the backup holds. Raises BackupRefused if this is none, DatabaseTooNew if a later version made it."""
    try:
        body = json.loads((folder / MANIFEST).read_bytes())
        if body.pop("form") != FORM:
            raise BackupRefused(f"{folder} holds a backup of another form: a later version made it")
        copied = {name: CopiedCollection(**one) for name, one in body.pop("collections").items()}
        at = datetime.fromisoformat(body.pop("copied_at"))
        manifest = Manifest(collections=copied, copied_at=at, **body)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupRefused(f"{folder} holds no whole backup: {MANIFEST} cannot be read") from error
    require_readable(manifest.schema)
    return manifest


def check(folder: Path, manifest: Manifest) -> None:
    """Read every file. Raises BackupRefused if one is missing or not as it was written."""
    for name, copied in manifest.collections.items():
        digest = hashlib.sha256()
        try:
            with gzip.open(file_of(folder, name)) as file:
                while part := file.read(_READ):
                    digest.update(part)
        except (OSError, EOFError) as error:
            raise BackupRefused(f"the backup is damaged: {name} cannot be read: {error}") from error
        if digest.hexdigest() != copied.sha256:
            raise BackupRefused(f"the backup is damaged: {name} is not as it was written")


def require_empty(db: Db) -> None:
    """Raises BackupRefused unless the database is empty, or holds what a restore that was cut off has left."""
    if not schema.restoring(db) and (filled := copies.filled(db)):
        raise BackupRefused(
            f"the database {db.name} is not empty: it holds {', '.join(filled[:5])}. "
            "Stop everything that works with it, and name a new database, or drop this one"
        )


def restore(db: Db, mirror: Mirror, folder: Path, manifest: Manifest, *, advance: Callable[[int], None]) -> None:
    """Fill the database, and hold all sending. Check the backup first. `advance` is called with the number of each
    batch. If it is cut off, no process starts on this database, and the next restore begins anew. If another restore
    begins meanwhile, this one ends.

    Raises BackupRefused, Unavailable.
    """
    require_empty(db)
    lost = Reached(manifest.mark + FURTHER, server_now(db))
    # In this order: a sender that runs in spite of all sees a mark that this database has not reached, and holds.
    mirror.raise_to(Mark(lost.number, lost.at))
    this = schema.begin_restore(db)
    copies.drop(db, copies.filled(db))
    for name in sorted(manifest.collections, key=lambda name: name == _LAST):
        documents = copies.documents_of(file_of(folder, name))
        if name == _LAST:
            documents = copies.without(documents, "schema")
        for count in copies.insert(db, name, documents):
            advance(count)
            _require(schema.restoring(db) == this)
    restore_mark.note_lost(db, lost)
    restore_mark.note_held(db, True)
    _require(schema.end_restore(db, this, manifest.schema))
    log.warning("restored_from_backup", documents=manifest.documents, copied_at=manifest.copied_at)


def _require(alone: bool) -> None:
    if not alone:
        raise BackupRefused("another restore into this database has begun since: let one alone run to its end")
