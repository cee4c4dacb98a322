"""Background maintenance. Any sender may run it, repeatedly and concurrently."""

from datetime import datetime, timedelta
from typing import Final

from mailroom.services.dispatching.propagation import finish_left_over, propagate_left_over
from mailroom.services.persons import erasing
from mailroom.storage import migrations, retention
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import versions
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.cluster import restore_mark
from mailroom.storage.database import Db, server_now
from mailroom.storage.mails import bodies

_MIGRATE_S: Final = 1.0  # in each call
_ERASE_S: Final = 2.0


def tidy(db: Db) -> dict[str, int]:
    """What somebody may wait for: complete propagations and finish runs that a crash interrupted; go on with erasures.

    Returns the numbers of objects by kind of work; empty if there was nothing to do. Raises Unavailable.
    """
    now = server_now(db)
    return _done(
        dispatches_told=propagate_left_over(db),
        runs_finished=finish_left_over(db, now=now),
        erasure_steps=erasing.proceed(db, now=now, within_s=_ERASE_S),
    )


def sweep(db: Db, *, trails_kept_for: timedelta, files: BodyFiles | None = None) -> dict[str, int]:
    """What nobody waits for, a part in each call: remove unfinished lists, files that no mail names, and expired
    trails; migrate what an earlier version stored.

    `files`: None means GridFS. Returns the numbers of objects by kind of work; empty if there was nothing to do. Raises
    Unavailable.
    """
    now = server_now(db)
    return _done(
        lists_removed=audiences.sweep(db, now=now),
        contacts_forgotten=versions.forget_old(db, now=now),
        trails_cut=retention.cut_trails(db, made_before=now - trails_kept_for),
        **migrations.migrate(db, within_s=_MIGRATE_S),
        # Last: S3 may be away, which concerns nothing else.
        files_removed=_sweep(db, files or BodyFiles(db), now=now),
    )


def _done(**counts: int) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _sweep(db: Db, files: BodyFiles, *, now: datetime) -> int:
    """No file goes while senders hold: the copy may be a trial of a backup, and its files in S3 are those of the system
    that it was made of, which goes on."""
    return 0 if restore_mark.is_held(db) else bodies.sweep(db, files, now=now)
