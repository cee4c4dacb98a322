"""A local S3: moto's server, a process of its own on the loopback."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import requests

from local.children import Child
from local.ports import free_port
from mailroom.storage.body_files.s3_bucket import S3Bucket

REGION: Final = "eu-central-1"
KEY: Final = {"access_key": "tests", "secret_key": "secret-of-tests"}


class LocalS3:
    def __init__(self, url: str) -> None:
        self.url = url
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id=KEY["access_key"],
            aws_secret_access_key=KEY["secret_key"],
        )

    def new_bucket(self) -> S3Bucket:
        """An empty bucket of its own."""
        name = f"bodies-{secrets.token_hex(4)}"
        self._client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return self.bucket(name)

    def bucket(self, name: str) -> S3Bucket:
        """As Mailroom uses it; it need not exist."""
        return S3Bucket(name, endpoint=self.url, region=REGION, **KEY)

    def objects(self, bucket: S3Bucket) -> set[str]:
        """What lies in the bucket, as `bucket/key`."""
        found = self._client.list_objects_v2(Bucket=bucket.name).get("Contents", [])
        return {f"{bucket.name}/{one['Key']}" for one in found}

    def settings(self, bucket: S3Bucket) -> dict[str, str]:
        return {
            "MAILROOM_BODIES_S3_BUCKET": bucket.name,
            "MAILROOM_BODIES_S3_URL": self.url,
            "MAILROOM_BODIES_S3_REGION": REGION,
            "MAILROOM_BODIES_S3_ACCESS_KEY_ID": KEY["access_key"],
            "MAILROOM_BODIES_S3_SECRET_ACCESS_KEY": KEY["secret_key"],
        }


@contextmanager
def local_s3(folder: Path) -> Iterator[LocalS3]:
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    child = Child("s3", command, log=folder / "s3.log")
    try:
        child.wait_until(lambda: _answers(f"http://127.0.0.1:{port}/moto-api/"), timeout_s=60)
        yield LocalS3(f"http://127.0.0.1:{port}")
    finally:
        child.kill()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code < 500
    except requests.RequestException:
        return False
