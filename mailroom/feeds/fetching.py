"""One request for a feed, and its answer: bounded in time from the look-up to the last byte, and in size before and
after decompression. Redirects are not followed."""

import functools
import ssl
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import urljoin

import structlog

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.model import Feed, FeedContent
from mailroom.domain.feeds.rules import FeedRules
from mailroom.domain.feeds.urls import BadUrl, FeedUrl, read_url
from mailroom.domain.limits import MAX_FEED_BYTES
from mailroom.feeds.connecting import CheckedConnection
from mailroom.feeds.reading import read_feed
from mailroom.watching import feeds as metrics

log = structlog.get_logger()
_PIECE: Final = 64 * 1024
_BRIEF_S: Final = 10
_MOST_PREVIEWS: Final = 4  # at once, in one process: each keeps a thread of it
_GZIP: Final = 31  # zlib's window bits for gzip
_ASKED: Final = {
    "Accept": "application/json, application/feed+json, application/rss+xml, application/atom+xml, "
    "application/xml;q=0.9, */*;q=0.5",
    "Accept-Encoding": "gzip",
    "User-Agent": "Mailroom (feed)",
}


class Fetcher:
    """Thread-safe. `tls`: None means that of the host's authorities."""

    def __init__(self, rules: FeedRules, tls: ssl.SSLContext | None = None) -> None:
        self.rules = rules
        self._given_tls = tls
        self._previews = threading.BoundedSemaphore(_MOST_PREVIEWS)

    def fetch(self, feed: Feed) -> FeedContent:
        """What the feed says now. Raises FeedFailed within about `feed.timeout_s`, with a reason that shows no secret
        and no query."""
        began = time.monotonic()
        try:
            content = self._fetch(feed)
        except FeedFailed as failed:
            metrics.fetched(failed.outcome, time.monotonic() - began)
            raise
        metrics.fetched(FeedOutcome.FETCHED, time.monotonic() - began)
        return content

    def fetch_briefly(self, feed: Feed) -> FeedContent:
        """As `fetch`, for somebody who waits: within _BRIEF_S, and of few at a time. Raises FeedFailed."""
        if not self._previews.acquire(blocking=False):
            raise FeedFailed(FeedOutcome.SLOW, "other feeds are being looked at; try again in some seconds")
        try:
            return self.fetch(replace(feed, timeout_s=min(feed.timeout_s, _BRIEF_S)))
        finally:
            self._previews.release()

    def _fetch(self, feed: Feed) -> FeedContent:
        if faults := self.rules.faults_of(feed):
            raise FeedFailed(FeedOutcome.REFUSED, "; ".join(fault.message for fault in faults))
        url, until = read_url(feed.url), time.monotonic() + feed.timeout_s
        body, content_type = self._body(feed, url, until)
        try:
            return read_feed(body, content_type, url=url.shown)
        except FeedFailed:
            raise
        except Exception as error:
            # The next fetch would meet it again: so the feed is as bad as one that is not well-formed.
            log.exception("feed_not_read", url=url.shown)
            raise FeedFailed(FeedOutcome.BAD, f"it cannot be read: {type(error).__name__}") from None

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()  # 20 ms, and some megabytes

    def _body(self, feed: Feed, url: FeedUrl, until: float) -> tuple[bytes, str]:
        connection = CheckedConnection(url, private=self.rules.is_private(url), until=until, tls=self._tls)
        try:
            connection.request("GET", url.target, headers=_headers(self.rules.headers_of(feed)))
            with connection.getresponse() as response:
                _check_status(response, url)
                body, content_type = _whole(response, url), response.headers.get("Content-Type", "")
            if time.monotonic() >= until:  # to the client, a connection that was cut off has ended as it should
                raise TimeoutError
            return body, content_type
        except ssl.SSLCertVerificationError as error:
            raise FeedFailed(
                FeedOutcome.AWAY, f"the certificate of {url.place} is not valid: {error.verify_message}"
            ) from None
        except (OSError, HTTPException, ValueError) as error:
            # A connection that was cut off fails in any of these ways.
            if time.monotonic() >= until or isinstance(error, TimeoutError):
                raise FeedFailed(FeedOutcome.SLOW, f"{url.place} was not done within {feed.timeout_s} s") from None
            raise FeedFailed(
                FeedOutcome.AWAY, f"{url.place} did not answer as a web server does: {type(error).__name__}"
            ) from None
        finally:
            connection.end()


def _headers(own: Mapping[str, str]) -> dict[str, str]:
    """The feed's own headers win over ours, however they are spelled."""
    names = {name.lower() for name in own}
    return {**{name: value for name, value in _ASKED.items() if name.lower() not in names}, **own}


def _check_status(response: HTTPResponse, url: FeedUrl) -> None:
    """Raises FeedFailed unless the answer is 200."""
    if 300 <= response.status < 400:
        where = _elsewhere(url, response.headers.get("Location", ""))
        raise FeedFailed(FeedOutcome.STATUS, f"{url.place} redirects{where}; redirects are not followed")
    if response.status != 200:
        raise FeedFailed(FeedOutcome.STATUS, f"{url.place} answered {response.status}")


def _elsewhere(url: FeedUrl, location: str) -> str:
    """Where a redirect leads, without its query; '' if that is no URL."""
    try:
        return f" to {read_url(urljoin(url.shown, location[:2_000])).shown}"
    except (BadUrl, ValueError):
        return ""


def _whole(response: HTTPResponse, url: FeedUrl) -> bytes:
    """The body, decompressed. Raises FeedFailed, and what the connection raises."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise FeedFailed(FeedOutcome.BAD, f"{url.place} answered in an encoding that was not asked for")
    received, size = [], 0
    while piece := response.read(_PIECE):
        received.append(piece)
        size += len(piece)
        if size > MAX_FEED_BYTES:
            raise _too_large(url)
    if response.length:  # bytes that were announced and did not come
        raise ConnectionResetError
    raw = b"".join(received)
    return _unpacked(raw, url) if encoding.endswith("gzip") else raw


def _unpacked(raw: bytes, url: FeedUrl) -> bytes:
    unpacking = zlib.decompressobj(_GZIP)
    try:
        body = unpacking.decompress(raw, MAX_FEED_BYTES + 1)
    except zlib.error:
        raise FeedFailed(FeedOutcome.BAD, f"what {url.place} answered is no gzip") from None
    if len(body) > MAX_FEED_BYTES:
        raise _too_large(url)
    if not unpacking.eof or unpacking.unused_data:
        raise FeedFailed(FeedOutcome.BAD, f"what {url.place} answered is not one whole gzip")
    return body


def _too_large(url: FeedUrl) -> FeedFailed:
    return FeedFailed(FeedOutcome.LARGE, f"what {url.place} answered is larger than {MAX_FEED_BYTES:,} bytes")
