"""A vendor at the wire: an HTTP server that keeps what it accepted, and misbehaves on request. Each vendor derives from
it what its documents say: how it accepts and refuses, and how its webhooks tell of it.
"""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import getaddresses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass(frozen=True)
class Kept:
    """A mail that was accepted."""

    recipients: list[str]
    subject: str
    text: str
    ids: Mapping[str, str]  # what came along of ours
    headers: str  # all that a reader could see of them
    html: str = ""
    own_headers: Mapping[str, str] = field(default_factory=dict)  # of the copy, where the mail asks for some
    at: float = field(default_factory=time.time)


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Vendor:
    """What all have in common."""

    kept: list[Kept] = field(default_factory=list)
    refusals: list[Answer] = field(default_factory=list)  # the next answers, of calls that are not accepted
    blocked: Answer | None = None  # the answer to every call, until it heals
    lose_answers: int = 0  # calls that are accepted, and whose connection then breaks
    latency_s: float = 0.0
    refused_addresses: set[str] = field(default_factory=lambda: {"refused@example.org"})
    path: ClassVar[str] = ""
    paths: ClassVar[tuple[str, ...]] = ()  # further ones
    says_whose: ClassVar[bool] = True  # whether an event names its recipient, of a mail to several

    @property
    def settings(self) -> dict[str, str]:
        """By which this vendor is found, and trusted."""
        raise NotImplementedError

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        return self.accept(headers, body)

    def accept(self, headers: Mapping[str, str], body: bytes) -> Answer:
        raise NotImplementedError

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def heal(self) -> None:
        """No faults from here on."""
        self.lose_answers, self.refusals, self.blocked, self.latency_s = 0, [], None, 0.0

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    close = stop


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Callers that die in the middle are what the tests are about."""


def _handler(vendor: Vendor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, said = self._answer(body)
            time.sleep(vendor.latency_s)
            if vendor.lose_answers and status in (200, 202):
                vendor.lose_answers -= 1
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST

        def _answer(self, body: bytes) -> Answer:
            if self.path.partition("?")[0] not in (vendor.path, *vendor.paths):
                return 404, {}, b"no such path"
            if vendor.blocked:
                return vendor.blocked
            if vendor.refusals:
                return vendor.refusals.pop(0)
            return vendor.answer(self.path, dict(self.headers.items()), body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


def as_json(status: int, said: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(said).encode()


def addresses(*written: str) -> list[str]:
    """The bare addresses of these lists of mailboxes."""
    return [address for _, address in getaddresses(list(written))]


def body_of(message: EmailMessage, kind: str) -> str:
    """The text of a part, `plain` or `html`; '' without one."""
    found = message.get_body((kind,))
    return str(found.get_content()).rstrip("\r\n") if found is not None else ""
