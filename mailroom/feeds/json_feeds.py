"""JSON as a feed: a list of objects, or an object with such a list as `items`.

Every value stays as it is. Where an item has names of JSON Feed (jsonfeed.org, version 1.1, read 2026-12-01), the names
that items of RSS have are added, so that one template reads both.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.model import FeedContent
from mailroom.domain.limits import MAX_FEED_DEPTH, MAX_FEED_VALUES
from mailroom.feeds.plain_text import plain_text

#: Our names, each with the first of the feed's own that is given.
_ALSO: Final = {
    "link": ("url", "external_url"),
    "published": ("date_published",),
    "updated": ("date_modified",),
    "image": ("banner_image",),
    "content": ("content_text",),
}


def read_json(text: str) -> FeedContent:
    """Raises FeedFailed."""
    try:
        said = orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise FeedFailed(FeedOutcome.BAD, f"it is not JSON: {str(error)[:100]}") from None
    items = said.get("items") if isinstance(said, dict) else said
    if not isinstance(items, list):
        raise FeedFailed(FeedOutcome.BAD, 'it is JSON, but neither a list nor an object with a list "items"')
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise FeedFailed(FeedOutcome.BAD, f"items[{index}] is no object")
    _check_bounds(said)
    fields = {name: value for name, value in said.items() if name != "items"} if isinstance(said, dict) else {}
    if "link" not in fields and isinstance(fields.get("home_page_url"), str):
        fields["link"] = fields["home_page_url"]
    return FeedContent({"title": "", "link": "", **fields}, [_with_usual_names(item) for item in items])


def _with_usual_names(item: dict[str, Any]) -> dict[str, Any]:
    found = dict(item)
    for name, others in _ALSO.items():
        given = next((item[other] for other in others if item.get(other)), None)
        if name not in found and given is not None:
            found[name] = given
    if "content" not in found and isinstance(found.get("content_html"), str):
        found["content"] = plain_text(found["content_html"])
    if "author" not in found and (author := _author(found)):
        found["author"] = author
    return found


def _author(item: dict[str, Any]) -> str:
    authors = item.get("authors")
    first = authors[0] if isinstance(authors, list) and authors else None
    name = first.get("name") if isinstance(first, dict) else None
    return name if isinstance(name, str) else ""


def _check_bounds(said: Any) -> None:
    """Raises FeedFailed for JSON that is too deep, or has too many values."""
    count, level = 0, [said]
    for _ in range(MAX_FEED_DEPTH):
        level = [value for container in level for value in _values(container)]
        count += len(level)
        if count > MAX_FEED_VALUES:
            raise FeedFailed(FeedOutcome.BAD, f"it has more than {MAX_FEED_VALUES:,} values")
    if any(isinstance(value, dict | list) for value in level):
        raise FeedFailed(FeedOutcome.BAD, f"it is deeper than {MAX_FEED_DEPTH} levels")


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value
