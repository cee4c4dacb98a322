"""A web server for feeds that answers with exact bytes, at the pace that a test wants: on a real socket of loopback."""

import contextlib
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from mailroom.domain.feeds.checking import check_feed
from mailroom.domain.feeds.model import Feed, FeedContent
from mailroom.domain.feeds.rules import FeedRules, FeedSecret
from mailroom.feeds.fetching import Fetcher

Answer = Callable[[socket.socket], None]


class FeedServer:
    """`answer` is what the next requests get. `requests`: the heads of those that came."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.answer: Answer = says("[]")
        self.requests: list[str] = []
        threading.Thread(target=self._serve, name="feed-server", daemon=True).start()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}/feed"

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65_536)
                if not piece:
                    return
                head += piece
            self.requests.append(head.decode("latin-1"))
            self.answer(connection)


@contextlib.contextmanager
def a_feed_server() -> Iterator[FeedServer]:
    server = FeedServer()
    try:
        yield server
    finally:
        server.close()


def sends(*pieces: bytes) -> Answer:
    """These bytes, and then the end."""
    return lambda connection: connection.sendall(b"".join(pieces))


def says(body: str | bytes, *, status: str = "200 OK", **headers: str) -> Answer:
    """A whole answer."""
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return sends("\r\n".join([*lines, "", ""]).encode("latin-1"), raw)


def says_items(*items: Mapping[str, Any]) -> Answer:
    return says(json.dumps(list(items)))


def drips(head: bytes, piece: bytes, *, every_s: float = 0.2, for_s: float = 30) -> Answer:
    """The head at once, and then a piece now and then."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        until = time.monotonic() + for_s
        while time.monotonic() < until:
            connection.sendall(piece)
            time.sleep(every_s)

    return answer


def floods(head: bytes, piece: bytes, *, most: int = 200_000_000) -> Answer:
    """The head, and then this piece again and again."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        sent = 0
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)

    return answer


def a_bomb(size: int) -> bytes:
    """Some kilobytes of gzip that become `size` bytes."""
    return gzip.compress(b"[" + b" " * size + b"]")


def a_feed(url: str, **changes: Any) -> Feed:
    return replace(check_feed({"url": url, "timeout_s": 2}), **changes)


def rules_for(*servers: FeedServer, secrets: Mapping[str, str] | None = None, **changes: Any) -> FeedRules:
    """Rules by which these servers of loopback may be asked, and get these secrets."""
    places = frozenset(server.place for server in servers)
    values = {name: FeedSecret(value, places) for name, value in (secrets or {}).items()}
    return FeedRules(**{"private": places, "secrets": values} | changes)


def fetched(server: FeedServer, **changes: Any) -> FeedContent:
    """What a fetch of this server gets. Raises FeedFailed."""
    return Fetcher(rules_for(server)).fetch(a_feed(server.url, **changes))
