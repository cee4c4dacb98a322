"""A feed as it is asked for, checked: every fault at once, or a value that can be stored."""

import re
from collections.abc import Mapping
from typing import Final

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.feeds.model import (
    DEFAULT_DEADLINE_S,
    DEFAULT_TIMEOUT_S,
    Feed,
    FeedFields,
    WithoutFeed,
)
from mailroom.domain.feeds.urls import BadUrl, read_url
from mailroom.domain.limits import MAX_FEED_DEADLINE_S, MAX_FEED_HEADERS, MAX_FEED_TIMEOUT_S

_HEADER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_SECRET: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SHOWN: Final = 64  # characters of a wrong name
#: Headers of the connection itself. What stands in them would let one request look like two.
_OURS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "content-type", "expect", "host", "keep-alive"),
        *("proxy-authorization", "proxy-connection", "range", "te", "trailer", "transfer-encoding", "upgrade"),
    }
)


def check_feed(asked: FeedFields) -> Feed:
    """Raises InvalidInput with every fault, at paths below `feed`."""
    faults: list[Fault] = []
    url = asked.get("url", "").strip()
    try:
        read_url(url)
    except BadUrl as error:
        faults.append(Fault("feed.url", "is needed" if not url else str(error)))
    headers = asked.get("headers", {})
    faults += _faults_of_headers(headers)
    timeout_s = asked.get("timeout_s", DEFAULT_TIMEOUT_S)
    if not 1 <= timeout_s <= MAX_FEED_TIMEOUT_S:
        faults.append(Fault("feed.timeout_s", f"a whole number of seconds from 1 to {MAX_FEED_TIMEOUT_S:,}"))
    deadline_s = asked.get("deadline_s", DEFAULT_DEADLINE_S)
    if not 0 <= deadline_s <= MAX_FEED_DEADLINE_S:
        faults.append(Fault("feed.deadline_s", f"a whole number of seconds from 0 to {MAX_FEED_DEADLINE_S:,}"))
    when_empty = _choice("when_empty", asked.get("when_empty", WithoutFeed.SKIP), faults)
    when_away = _choice("when_away", asked.get("when_away", WithoutFeed.SKIP), faults)
    if faults:
        raise InvalidInput(*faults)
    return Feed(
        url=url,
        headers=tuple(sorted(headers.items())),
        timeout_s=timeout_s,
        only_newer=asked.get("only_newer", True),
        when_empty=when_empty,
        deadline_s=deadline_s,
        when_away=when_away,
    )


def fields_of(feed: Feed) -> FeedFields:
    """A stored feed in the form in which it is asked for."""
    return {
        "url": feed.url,
        "headers": dict(feed.headers),
        "timeout_s": feed.timeout_s,
        "only_newer": feed.only_newer,
        "when_empty": feed.when_empty.value,
        "deadline_s": feed.deadline_s,
        "when_away": feed.when_away.value,
    }


def _choice(name: str, value: str, faults: list[Fault]) -> WithoutFeed:
    try:
        return WithoutFeed(value)
    except ValueError:
        faults.append(Fault(f"feed.{name}", f"one of {', '.join(WithoutFeed)}"))
        return WithoutFeed.SKIP


def _faults_of_headers(headers: Mapping[str, str]) -> list[Fault]:
    if len(headers) > MAX_FEED_HEADERS:
        return [Fault("feed.headers", f"at most {MAX_FEED_HEADERS} headers")]
    faults = []
    names: set[str] = set()
    for name, secret in headers.items():
        path = f"feed.headers.{name[:_SHOWN]}"
        if not _HEADER.fullmatch(name):
            faults.append(Fault(path, "is no name of a header"))
        elif name.lower() in _OURS:
            faults.append(Fault(path, "is set by Mailroom"))
        elif name.lower() in names:
            faults.append(Fault(path, "is there twice"))
        if not isinstance(secret, str) or not _SECRET.fullmatch(secret):
            faults.append(Fault(path, "names a secret of the settings, by letters, digits, _, - and ."))
        names.add(name.lower())
    return faults
