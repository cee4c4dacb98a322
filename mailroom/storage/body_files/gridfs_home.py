"""GridFS bucket `bodies`: files in MongoDB.

    filename  email id
    metadata  {email, look_at}: the mail that the file was written for, and when the janitor looks at the file

Index of its collection `bodies.files`: `metadata.look_at`, for the janitor.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from gridfs import GridFSBucket
from gridfs.errors import NoFile
from pymongo import IndexModel

from mailroom.domain.ids import EmailId
from mailroom.storage.body_files.references import FileGone, FileRef
from mailroom.storage.database import Db, guarded

COLLECTION: Final = "bodies.files"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("metadata.look_at", 1)]),)


class GridFsHome:
    def __init__(self, db: Db) -> None:
        self._db = db

    @guarded
    def put(self, email_id: EmailId, content: bytes, *, look_at: datetime) -> FileRef:
        metadata = {"email": email_id, "look_at": look_at}
        return self._bucket().upload_from_stream(email_id, content, metadata=metadata)

    @guarded
    def read(self, file: FileRef, most: int = -1) -> bytes:
        try:
            content: bytes = self._bucket().open_download_stream(file).read(most)
        except NoFile:
            raise FileGone(file) from None
        return content

    @guarded
    def sizes(self, files: Sequence[FileRef]) -> dict[FileRef, int]:
        found = self._db[COLLECTION].find({"_id": {"$in": list(files)}}, {"length": 1})
        return {doc["_id"]: doc["length"] for doc in found}

    @guarded
    def delete(self, file: FileRef) -> None:
        with suppress(NoFile):
            self._bucket().delete(file)

    @guarded
    def due(self, *, now: datetime, limit: int) -> list[tuple[FileRef, EmailId]]:
        due = {"metadata.look_at": {"$lt": now}}
        found = self._db[COLLECTION].find(due, {"metadata": 1}).sort("metadata.look_at", 1).limit(limit)
        return [(doc["_id"], EmailId(doc["metadata"]["email"])) for doc in found]

    @guarded
    def look_again(self, files: Sequence[FileRef], *, at: datetime) -> None:
        self._db[COLLECTION].update_many({"_id": {"$in": list(files)}}, {"$set": {"metadata.look_at": at}})

    def _bucket(self) -> GridFSBucket:
        return GridFSBucket(self._db, bucket_name="bodies")
