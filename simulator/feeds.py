"""Feeds to play with: items that a person adds, as JSON and as RSS, from a server that misbehaves on request.

They live only as long as the process, as its knobs do.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum
from typing import Any, Final
from xml.sax.saxutils import escape

from flask import Blueprint, Response, current_app, jsonify, request

feeds = Blueprint("feeds", __name__, url_prefix="/simulator/feeds")
_MOST_FEEDS: Final = 100
_MOST_ITEMS: Final = 2_000
_MOST_TIMES: Final = 1_000_000
_SLOW_S: Final = 120
_HUGE_BYTES: Final = 50_000_000
_METADATA: Final = "http://169.254.169.254/latest/meta-data/"


class FeedFault(StrEnum):
    SLOW = "slow"  # a byte a second, for two minutes
    ERROR = "500"
    BROKEN = "broken"  # cut off in the middle of an item
    HUGE = "huge"  # 50 MB
    REDIRECT = "redirect"  # to where a cloud tells a machine its secrets


@dataclass(slots=True)
class PlayedFeed:
    items: list[dict[str, Any]] = field(default_factory=list)
    fault: FeedFault | None = None
    times: int = 0  # for which it misbehaves; 0: until told otherwise
    requests: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # of the last request


class PlayedFeeds:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._feeds: dict[str, PlayedFeed] = {}

    def add(self, name: str, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put these items before the others. Raises ValueError."""
        with self._lock:
            feed = self._of(name)
            if len(feed.items) + len(items) > _MOST_ITEMS:
                raise ValueError(f"a feed has at most {_MOST_ITEMS:,} items")
            feed.items[:0] = items
            return list(feed.items)

    def misbehave(self, name: str, fault: FeedFault | None, times: int) -> None:
        with self._lock:
            feed = self._of(name)
            feed.fault, feed.times = fault, times

    def asked(self, name: str, headers: dict[str, str]) -> tuple[list[dict[str, Any]], FeedFault | None]:
        """The items for a request, and what goes wrong with it; the request is counted."""
        with self._lock:
            feed = self._of(name)
            feed.requests, feed.headers = feed.requests + 1, headers
            fault = feed.fault
            if fault and feed.times == 1:
                feed.fault = None
            elif fault and feed.times > 1:
                feed.times -= 1
            return list(feed.items), fault

    def shown(self, name: str) -> dict[str, Any]:
        with self._lock:
            feed = self._of(name)
            return {"items": len(feed.items), "fault": feed.fault, "requests": feed.requests, "headers": feed.headers}

    def forget(self, name: str) -> None:
        with self._lock:
            self._feeds.pop(name, None)

    def _of(self, name: str) -> PlayedFeed:
        if name not in self._feeds and len(self._feeds) >= _MOST_FEEDS:
            raise ValueError(f"there are at most {_MOST_FEEDS} feeds")
        return self._feeds.setdefault(name, PlayedFeed())


def _played() -> PlayedFeeds:
    found: PlayedFeeds = current_app.extensions["feeds"]
    return found


@feeds.errorhandler(ValueError)
def refused(error: ValueError) -> Any:
    return jsonify(message=str(error)), 400


@feeds.post("/<name>")
def add(name: str) -> Any:
    """Add an item, or a list of them, before the others. Any field may be there; `id` and `published` are made if they
    are not."""
    body = request.get_json()
    given = body if isinstance(body, list) else [body]
    if not all(isinstance(item, dict) for item in given):
        return jsonify(message="an item is an object, such as {'title': 'New', 'link': 'https://example.com/1'}"), 400
    made = [{"id": uuid.uuid4().hex, "published": datetime.now(UTC).isoformat(), **item} for item in given]
    return jsonify(items=_played().add(name, made))


@feeds.delete("/<name>")
def forget(name: str) -> Any:
    _played().forget(name)
    return "", 204


@feeds.route("/<name>/behaviour", methods=["GET", "PUT"])
def behaviour(name: str) -> Any:
    """PUT `{"fault": "500", "times": 3}` (0: until told otherwise; fault null: well again). Either answers with how
    often the feed was asked for, and the headers of the last request."""
    if request.method == "PUT":
        body = request.get_json()
        fault, times = body.get("fault"), body.get("times", 0)
        if (fault is not None and fault not in [*FeedFault]) or type(times) is not int or not 0 <= times <= _MOST_TIMES:
            return jsonify(message=f"'fault' is null or one of {', '.join(FeedFault)}; 'times' a whole number"), 400
        _played().misbehave(name, FeedFault(fault) if fault else None, times)
    return jsonify(_played().shown(name))


@feeds.get("/<name>")
@feeds.get("/<name>.<any(json, rss):form>")
def show(name: str, form: str = "json") -> Response:
    """The feed as JSON, or as RSS."""
    items, fault = _played().asked(name, dict(request.headers))
    body, kind = (_rss(name, items), "application/rss+xml") if form == "rss" else (_json(items), "application/json")
    match fault:
        case FeedFault.SLOW:
            return Response(_dripping(), mimetype=kind)
        case FeedFault.ERROR:
            return Response("It is not well.", 500, mimetype="text/plain")
        case FeedFault.BROKEN:
            return Response(body[: len(body) * 2 // 3], mimetype=kind)
        case FeedFault.HUGE:
            return Response(_huge(), mimetype=kind)
        case FeedFault.REDIRECT:
            return Response("", 302, {"Location": _METADATA})
        case _:
            return Response(body, mimetype=kind)


def _json(items: list[dict[str, Any]]) -> str:
    return json.dumps({"title": "Played", "items": items})


def _rss(name: str, items: list[dict[str, Any]]) -> str:
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<rss version="2.0"><channel>']
    lines += [f"<title>{escape(name)}</title>", "<link>https://example.com/</link>", "<description/>"]
    for item in items:
        guid = f'<guid isPermaLink="false">{_text(item, "id")}</guid>'
        parts = f"<title>{_text(item, 'title')}</title><link>{_text(item, 'link')}</link>{guid}"
        summary = f"<description>{_text(item, 'summary')}</description>"
        lines.append(f"<item>{parts}{summary}<pubDate>{_date(item)}</pubDate></item>")
    return "\n".join([*lines, "</channel></rss>"])


def _text(item: dict[str, Any], name: str) -> str:
    return escape(str(item.get(name, "")))


def _date(item: dict[str, Any]) -> str:
    try:
        return format_datetime(datetime.fromisoformat(str(item.get("published", ""))))
    except ValueError:
        return ""


def _dripping() -> Iterator[str]:
    yield "["
    for _ in range(_SLOW_S):
        time.sleep(1)
        yield " "
    yield "]"


def _huge() -> Iterator[str]:
    yield '[{"title": "'
    for _ in range(_HUGE_BYTES // 100_000):
        yield "x" * 100_000
    yield '"}]'
