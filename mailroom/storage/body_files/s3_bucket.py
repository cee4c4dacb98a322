"""A bucket of S3, at AWS or another vendor. An object is named `bucket/key`, so that those in an earlier bucket are
found too.

Each use has a bounded time. After a bucket did not answer, further uses fail at once for a few seconds: a sender's
round, and a thread of the API, wait for it no more than once in that time.
"""

import io
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Any, Final, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from mailroom.domain.errors import BodiesAway
from mailroom.storage.body_files.references import FileGone

T = TypeVar("T")
_CONNECT_S: Final = 2
_READ_S: Final = 4  # between two bytes
_ATTEMPTS: Final = 2
_OBJECT_S: Final = 10.0  # to write or to read one object
_REST_S: Final = 5.0
_CHUNK: Final = 1024 * 1024
_NO_OBJECT: Final = "NoSuchKey"


class S3Bucket:
    """Thread-safe. Connects on first use."""

    def __init__(self, name: str, *, endpoint: str, region: str, access_key: str, secret_key: str) -> None:
        """`endpoint`: '' for AWS. Without `access_key` boto3 looks for a key: a profile, the role of a machine."""
        self.name = name
        self._endpoint, self._region, self._key = endpoint, region, (access_key, secret_key)
        self._lock, self._made = threading.Lock(), None
        self._rests_until, self._why = 0.0, ""

    def put(self, object_: str, content: bytes) -> None:
        """Write an object. Raises BodiesAway."""
        self._use(lambda client: client.put_object(**_place(object_), Body=_Bounded(content)))

    def get(self, object_: str, most: int = -1) -> bytes:
        """The content; with `most` only so many bytes. Raises FileGone, BodiesAway."""
        part = {"Range": f"bytes=0-{most - 1}"} if most > 0 else {}
        return self._use(lambda client: self._whole(client.get_object(**_place(object_), **part)["Body"]))

    def delete(self, object_: str) -> None:
        """Remove an object, if it is there. Raises BodiesAway."""
        self._use(lambda client: client.delete_object(**_place(object_)))

    def check(self, folder: str) -> None:
        """Write an object below `folder`, read and remove it. Raises BodiesAway."""
        object_ = f"{self.name}/{folder}/doctor/{secrets.token_hex(8)}"
        self.put(object_, b"?")
        if self.get(object_) != b"?":
            raise self._failed("an object came back with another content")
        self.delete(object_)

    def _use(self, work: Callable[[Any], T]) -> T:
        if time.monotonic() < self._rests_until:
            raise self._failed(f"{self._why} (a moment ago)")
        try:
            return work(self._client())
        except ClientError as error:
            answer = error.response.get("Error", {})
            if answer.get("Code") == _NO_OBJECT:
                raise FileGone from None
            raise self._failed(f"{answer.get('Code')}, {answer.get('Message')}") from error
        except (BotoCoreError, TimeoutError) as error:
            self._why, self._rests_until = str(error), time.monotonic() + _REST_S
            raise self._failed(self._why) from error

    def _whole(self, stream: Any) -> bytes:
        """All that comes, within a bounded time. Raises TimeoutError."""
        until, chunks = time.monotonic() + _OBJECT_S, []
        with closing(stream):
            while chunk := stream.read(_CHUNK):
                chunks.append(chunk)
                _check_time(until)
        return b"".join(chunks)

    def _failed(self, why: str) -> BodiesAway:
        return BodiesAway(f"S3 bucket {self.name} does not work: {why}")

    def _client(self) -> Any:
        import boto3  # costs half a second and 20 MB, which are wasted where all mails are small

        with self._lock:
            if self._made is None:
                access_key, secret_key = self._key
                self._made = boto3.Session().client(
                    "s3",
                    endpoint_url=self._endpoint or None,
                    region_name=self._region,
                    aws_access_key_id=access_key or None,
                    aws_secret_access_key=secret_key or None,
                    config=Config(
                        connect_timeout=_CONNECT_S,
                        read_timeout=_READ_S,
                        retries={"total_max_attempts": _ATTEMPTS, "mode": "standard"},
                        max_pool_connections=32,
                        # Other vendors do not know the checksums that boto3 adds otherwise.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
            return self._made


class _Bounded(io.BytesIO):
    """The content to write; it can be read for a bounded time. Raises TimeoutError."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self._until = time.monotonic() + _OBJECT_S

    def read(self, size: int | None = -1, /) -> bytes:
        _check_time(self._until)
        return super().read(size)


def _check_time(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError(f"an object took more than {_OBJECT_S:.0f} s")


def _place(object_: str) -> dict[str, str]:
    bucket, _, key = object_.partition("/")
    return {"Bucket": bucket, "Key": key}
