"""Collection `bodies.objects`: what was written to S3, one document an object.

    _id      `bucket/key`; the key is `database/email id/` and random letters
    email    the mail that the object was written for
    length   bytes
    look_at  when the janitor looks at the object

Inserted before the object is written, and removed after it: no object of ours is without a record.

Index: `look_at`, for the janitor.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from pymongo import IndexModel

from mailroom.domain.ids import EmailId
from mailroom.storage.body_files.references import FileRef
from mailroom.storage.database import Db, guarded

if TYPE_CHECKING:  # every process imports this module, and botocore takes 60 ms
    from mailroom.storage.body_files.s3_bucket import S3Bucket

COLLECTION: Final = "bodies.objects"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("look_at", 1)]),)


class S3Home:
    def __init__(self, db: Db, bucket: "S3Bucket") -> None:
        self._db, self._bucket = db, bucket

    def put(self, email_id: EmailId, content: bytes, *, look_at: datetime) -> FileRef:
        object_ = f"{self._bucket.name}/{self._db.name}/{email_id}/{secrets.token_hex(8)}"
        self._note(object_, {"email": email_id, "length": len(content), "look_at": look_at})
        self._bucket.put(object_, content)
        return object_

    def read(self, file: FileRef, most: int = -1) -> bytes:
        return self._bucket.get(str(file), most)

    @guarded
    def sizes(self, files: Sequence[FileRef]) -> dict[FileRef, int]:
        found = self._db[COLLECTION].find({"_id": {"$in": list(files)}}, {"length": 1})
        return {doc["_id"]: doc["length"] for doc in found}

    def delete(self, file: FileRef) -> None:
        self._bucket.delete(str(file))
        self._forget(file)

    @guarded
    def due(self, *, now: datetime, limit: int) -> list[tuple[FileRef, EmailId]]:
        found = self._db[COLLECTION].find({"look_at": {"$lt": now}}, {"email": 1}).sort("look_at", 1).limit(limit)
        return [(doc["_id"], EmailId(doc["email"])) for doc in found]

    @guarded
    def look_again(self, files: Sequence[FileRef], *, at: datetime) -> None:
        self._db[COLLECTION].update_many({"_id": {"$in": list(files)}}, {"$set": {"look_at": at}})

    @guarded
    def _note(self, object_: str, fields: dict[str, object]) -> None:
        self._db[COLLECTION].insert_one({"_id": object_, **fields})

    @guarded
    def _forget(self, file: FileRef) -> None:
        self._db[COLLECTION].delete_one({"_id": file})
