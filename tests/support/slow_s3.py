"""An S3 that answers, and takes its time: a server in the test's own process that keeps its objects in memory."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mailroom.storage.body_files.s3_bucket import S3Bucket
from tests.support.s3 import KEY, REGION


class SlowS3(ThreadingHTTPServer):
    """`get_s`, `put_s`: how long each object takes to come, or to be stored."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.get_s = self.put_s = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bucket(self) -> S3Bucket:
        return S3Bucket("bodies", endpoint=self.url, region=REGION, **KEY)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "MAILROOM_BODIES_S3_BUCKET": "bodies",
            "MAILROOM_BODIES_S3_URL": self.url,
            "MAILROOM_BODIES_S3_REGION": REGION,
            "MAILROOM_BODIES_S3_ACCESS_KEY_ID": KEY["access_key"],
            "MAILROOM_BODIES_S3_SECRET_ACCESS_KEY": KEY["secret_key"],
        }


@contextmanager
def slow_s3() -> Iterator[SlowS3]:
    with SlowS3() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    server: SlowS3
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        time.sleep(self.server.put_s)
        self.server.objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, b"")

    def do_GET(self) -> None:
        time.sleep(self.server.get_s)
        self._answer(200, self.server.objects[self.path])

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.path, None)
        self._answer(204, b"")

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Not into the tests' output."""
