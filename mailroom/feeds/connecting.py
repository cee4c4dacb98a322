"""A connection to a public address, and to no other: the address that is looked at is the one that is connected to.

A look-up that is repeated by the HTTP client could answer otherwise the second time (DNS rebinding). So the name is
looked up once, here; the connection goes to an address of that answer; and the certificate is checked for the name.
"""

import contextlib
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any, Final

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.networks import is_public
from mailroom.domain.feeds.urls import PORTS, FeedUrl

_MOST_ADDRESSES: Final = 4  # of one name, that are tried
_MOST_LOOKUPS: Final = 32  # at once: a resolver may take half a minute, and cannot be interrupted
_lookups: Final = threading.BoundedSemaphore(_MOST_LOOKUPS)
_LATER_S: Final = 0.02  # than the end of the time, so that whatever fails then is known to have failed for it

Address = tuple[Any, ...]  # of getaddrinfo: family, kind, protocol, name, (address, port, ...)


class CheckedConnection(HTTPConnection):
    """For one request. It asks no proxy, follows nothing, and repeats nothing. `until`: when its time is over, on the
    monotonic clock; at that moment the connection is cut off, wherever it stands."""

    def __init__(self, url: FeedUrl, *, private: bool, until: float, tls: ssl.SSLContext) -> None:
        super().__init__(url.host, url.port)
        self._url, self._private, self._until, self._tls = url, private, until, tls
        self._handle: socket.socket | None = None
        self._cutting: threading.Timer | None = None
        if url.port == PORTS[url.scheme]:
            self.default_port = url.port  # then the header Host has no port

    def connect(self) -> None:
        """Raises FeedFailed."""
        connection = _connected(self._url, private=self._private, until=self._until)
        self._cut_off_in_time(connection)
        if self._url.scheme == "https":
            connection = self._tls.wrap_socket(connection, server_hostname=self._url.host)
        self.sock = connection

    def end(self) -> None:
        """Close everything. Not `close`: the client calls that itself while the answer is still being read."""
        self.close()
        if self._cutting:
            self._cutting.cancel()
        if self._handle:
            self._handle.close()

    def _cut_off_in_time(self, connection: socket.socket) -> None:
        """A time-out of the socket is for each read: a server that sends a byte now and then would never reach it."""
        connection.settimeout(max(0.01, self._until - time.monotonic()))
        self._handle = handle = connection.dup()  # TLS takes the other one over

        def cut_off() -> None:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

        self._cutting = threading.Timer(max(0.0, self._until - time.monotonic()) + _LATER_S, cut_off)
        self._cutting.daemon = True
        self._cutting.start()


def _connected(url: FeedUrl, *, private: bool, until: float) -> socket.socket:
    """Raises FeedFailed."""
    addresses = list(_allowed(_looked_up(url, until), private=private))
    if not addresses:
        raise FeedFailed(FeedOutcome.REFUSED, f"{url.place} is not at a public address")
    refused: OSError | None = None
    for index, (family, kind, protocol, _, address) in enumerate(addresses[:_MOST_ADDRESSES]):
        left = min(len(addresses), _MOST_ADDRESSES) - index
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(max(0.01, (until - time.monotonic()) / left))
            connection.connect(address)
        except OSError as error:
            connection.close()
            refused = error
            continue
        return connection
    if isinstance(refused, TimeoutError) or time.monotonic() >= until:
        raise FeedFailed(FeedOutcome.SLOW, f"{url.place} did not answer in time")
    raise FeedFailed(FeedOutcome.AWAY, f"{url.place} takes no connection: {_in_words(refused)}")


def _allowed(found: list[Address], *, private: bool) -> Iterator[Address]:
    return (one for one in found if private or is_public(str(one[4][0])))


def _looked_up(url: FeedUrl, until: float) -> list[Address]:
    """The addresses of a name. A look-up that takes too long goes on in its thread, and its answer is dropped."""
    answers: queue.SimpleQueue[list[Address] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM))
        except Exception as error:  # UnicodeError too, for names that cannot be written in DNS
            answers.put(error)
        finally:
            _lookups.release()

    if not _lookups.acquire(timeout=max(0.0, until - time.monotonic())):
        raise FeedFailed(FeedOutcome.SLOW, "too many names are being looked up")
    threading.Thread(target=look_up, name="feed-name", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.01, until - time.monotonic()))
    except queue.Empty:
        raise FeedFailed(FeedOutcome.SLOW, f"the name {url.host} was not looked up in time") from None
    if isinstance(answer, Exception):
        raise FeedFailed(FeedOutcome.AWAY, f"the name {url.host} is not known")
    return answer


def _in_words(error: OSError | None) -> str:
    return (error.strerror or type(error).__name__) if error else "no address"
