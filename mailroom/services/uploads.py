"""Files that wait, between their upload and a person's word on how they are to be read.

They wait in MongoDB, not in a hidden field of the page: a list of 100,000 recipients has megabytes, which a browser
would have to show and send back with each change of a column. What waits is bounded: an owner's newest three files,
for a day.
"""

import secrets
from typing import Final

from mailroom.storage import uploads
from mailroom.storage.database import Db, server_now
from mailroom.storage.uploads import Upload

KEPT: Final = 3  # files of one owner
_MAX_FILENAME: Final = 200


def keep(db: Db, data: bytes, filename: str, *, owner: str) -> Upload:
    """Raises Unavailable."""
    upload = Upload(secrets.token_urlsafe(16), filename[-_MAX_FILENAME:], data)
    uploads.keep(db, upload, owner=owner, now=server_now(db))
    uploads.remove_older(db, owner=owner, but=KEPT)
    return upload


def get(db: Db, id_: str, *, owner: str) -> Upload | None:
    """None where it is not there any more."""
    return uploads.get(db, id_, owner=owner)


def drop(db: Db, id_: str, *, owner: str) -> None:
    """It is not needed any more."""
    uploads.remove(db, id_, owner=owner)
