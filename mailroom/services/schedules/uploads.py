"""Uploaded files that wait until a person has chosen what their columns are for.

They wait in MongoDB, not in a hidden field of the page: a browser would have to send the megabytes of a list of 100,000
recipients back with each change of a column. An owner's newest three files are kept, for a day.
"""

import secrets
from typing import Final

from mailroom.storage.database import Db, server_now
from mailroom.storage.schedules import uploads
from mailroom.storage.schedules.uploads import Upload

KEPT: Final = 3  # files of one owner
_MAX_FILENAME: Final = 200


def keep(db: Db, data: bytes, filename: str, *, owner: str) -> Upload:
    """Raises Unavailable."""
    upload = Upload(secrets.token_urlsafe(16), filename[-_MAX_FILENAME:], data)
    uploads.keep(db, upload, owner=owner, now=server_now(db))
    uploads.remove_older(db, owner=owner, but=KEPT)
    return upload


def get(db: Db, id_: str, *, owner: str) -> Upload | None:
    """None if it is not kept any more."""
    return uploads.get(db, id_, owner=owner)


def drop(db: Db, id_: str, *, owner: str) -> None:
    """Remove a file that is not needed any more."""
    uploads.remove(db, id_, owner=owner)
