"""The files of bodies lie in one of two homes. Each has a record in MongoDB, by which the janitor finds the files that
no body names: of a request that failed half-way, or of a body whose time is over.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from bson import ObjectId

from mailroom.domain.errors import BodiesAway
from mailroom.domain.ids import EmailId
from mailroom.domain.sender_rules import KNOWN_SINCE, MAY_WAKE_FOR, SenderRule
from mailroom.storage import workers
from mailroom.storage.body_files.gridfs_home import GridFsHome
from mailroom.storage.body_files.references import FileRef
from mailroom.storage.body_files.s3_home import S3Home
from mailroom.storage.database import Db, server_now

if TYPE_CHECKING:  # every process imports this module, and botocore takes 60 ms
    from mailroom.storage.body_files.s3_bucket import S3Bucket

_AT_ONCE: Final = 16  # files that are read
_KNOWN_SINCE: Final = KNOWN_SINCE[SenderRule.BODIES_IN_S3]
_YOUNG: Final = timedelta(hours=1)  # no request takes so long: a file of this age is named by a body, or by none ever


class Home(Protocol):
    """Every method may raise Unavailable."""

    def put(self, email_id: EmailId, content: bytes, *, look_at: datetime) -> FileRef:
        """Write a file; it is stored when this returns. `look_at`: when the janitor looks at it."""

    def read(self, file: FileRef, most: int = -1) -> bytes:
        """The content; with `most` only so many bytes. Raises FileGone."""

    def sizes(self, files: Sequence[FileRef]) -> dict[FileRef, int]:
        """Bytes of those of the files that are here."""

    def delete(self, file: FileRef) -> None:
        """Remove a file, if it is there."""

    def due(self, *, now: datetime, limit: int) -> list[tuple[FileRef, EmailId]]:
        """The files to look at, the longest waiting first, each with the mail that it was written for."""

    def look_again(self, files: Sequence[FileRef], *, at: datetime) -> None:
        """Look at these files again at this time."""


class BodyFiles:
    """New files go to the bucket, if there is one; to GridFS otherwise, and while a sender may run that does not know
    buckets. Files are read where they lie."""

    def __init__(self, db: Db, bucket: "S3Bucket | None" = None) -> None:
        self._db, self._bucket = db, bucket
        self._gridfs, self._s3 = GridFsHome(db), S3Home(db, bucket) if bucket else None
        self._readers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="body-files")  # no thread before its first use

    @property
    def homes(self) -> Sequence[Home]:
        """The homes that files may lie in."""
        return [self._gridfs, self._s3] if self._s3 else [self._gridfs]

    def put(self, email_id: EmailId, content: bytes) -> FileRef:
        """Write a file; it is stored when this returns. Raises Unavailable."""
        now = server_now(self._db)
        home = self._gridfs if self._s3 is None or self._old_sender_may_run(now) else self._s3
        return home.put(email_id, content, look_at=now + _YOUNG)

    def read(self, file: FileRef, most: int = -1) -> bytes:
        """The content; with `most` only so many bytes. Raises FileGone, Unavailable."""
        return self._home_of(file).read(file, most)

    def reading(self, files: Sequence[FileRef]) -> dict[FileRef, Future[bytes]]:
        """Begin to read these files, all at once. Each result is that of `read`."""
        return {file: self._readers.submit(self.read, file) for file in files}

    def sizes(self, files: Sequence[FileRef]) -> dict[FileRef, int]:
        """Bytes of each file that is still there. Raises Unavailable."""
        return {file: size for home in self.homes for file, size in home.sizes(files).items()} if files else {}

    def delete(self, file: FileRef) -> None:
        """Remove a file, if it is there. Raises Unavailable."""
        self._home_of(file).delete(file)

    def check(self) -> str:
        """Returns in words where new files go, after trying it. Raises Unavailable."""
        if self._bucket is None:
            return "large ones go to MongoDB (GridFS)"
        self._bucket.check(self._db.name)
        works = f"bucket {self._bucket.name} takes, gives and removes files"
        if self._old_sender_may_run(server_now(self._db)):
            return f"large ones go to MongoDB (GridFS) until the senders of an earlier version have ended; {works}"
        return f"large ones go to S3: {works}"

    def _old_sender_may_run(self, now: datetime) -> bool:
        return bool(workers.senders_below(self._db, _KNOWN_SINCE, since=now - MAY_WAKE_FOR, limit=1))

    def _home_of(self, file: FileRef) -> Home:
        if isinstance(file, ObjectId):
            return self._gridfs
        if self._s3 is None:
            raise BodiesAway(f"S3 has the file {file}, but MAILROOM_BODIES_S3_BUCKET is not set")
        return self._s3
