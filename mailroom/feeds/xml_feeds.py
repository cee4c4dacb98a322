"""RSS and Atom, taken apart by feedparser, after a look of our own at the XML (docs/adr/0027).

feedparser goes on with XML that is broken, by a parser that takes time and memory without a bound, and expands
entities. So only XML that `check_xml` has passed comes to it, from its first element on, and it is given no HTML to
mend.
"""

import calendar
import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from time import struct_time
from typing import Any, Final

import feedparser

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.model import FeedContent
from mailroom.feeds.plain_text import plain_text
from mailroom.feeds.xml_checks import check_xml

_MOST_TITLE: Final = 1_000  # characters
_MOST_LINK: Final = 2_000
_MOST_TEXT: Final = 100_000  # of a summary, or of a content
_MOST_TAGS: Final = 20
_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]{0,200}\?>")


def read_xml(text: str, *, url: str) -> FeedContent:
    """`url`: what relative links are relative to. Raises FeedFailed."""
    # The text is ours by now: what the declaration says of its encoding is over.
    declared = _DECLARATION.match(text)
    data = text[declared.end() if declared else 0 :].encode("utf-8", "replace")
    data = data[check_xml(data) :]
    # From a stream: feedparser opens a text that is the name of a file, or a URL.
    said = feedparser.parse(
        io.BytesIO(data),
        response_headers={"content-type": "application/xml; charset=utf-8", "content-location": url},
        resolve_relative_uris=False,
        sanitize_html=False,
    )
    if not said.get("version"):
        raise FeedFailed(FeedOutcome.BAD, "it is XML, but neither RSS nor Atom")
    about = said.feed
    fields = {
        "title": _text_of(about, "title", _MOST_TITLE),
        "link": _link(about.get("link")),
        "updated": _moment(_own(about, "updated_parsed") or about.get("published_parsed")),
    }
    return FeedContent(fields, [_item(entry) for entry in said.entries])


def _item(entry: Mapping[str, Any]) -> dict[str, object]:
    """An item by the names that docs/feeds.md gives; each is there, '' if the feed does not say it."""
    link = _link(entry.get("link"))
    content = _html(entry)
    summary = _text_of(entry, "summary", _MOST_TEXT)
    return {
        "id": str(entry.get("id") or link)[:_MOST_LINK],
        "title": _text_of(entry, "title", _MOST_TITLE),
        "link": link,
        "summary": summary,
        "content": plain_text(content) if content else summary,
        "content_html": content,
        "published": _moment(entry.get("published_parsed") or _own(entry, "updated_parsed")),
        "updated": _moment(_own(entry, "updated_parsed")),
        "author": str(entry.get("author") or "")[:_MOST_TITLE],
        "image": _image(entry),
        "tags": [str(tag.get("term") or "")[:_MOST_TITLE] for tag in (entry.get("tags") or ())[:_MOST_TAGS]],
    }


def _own(said: Mapping[str, Any], name: str) -> Any:
    """What the feed itself says: feedparser answers with the date of publication where none of a change is given."""
    return said[name] if name in said else None  # noqa: SIM401 - its `get` is what answers so


def _html(entry: Mapping[str, Any]) -> str:
    """The content as HTML; '' if the feed has plain text alone."""
    contents = [*(entry.get("content") or ()), entry.get("summary_detail") or {}]
    for content in contents:
        if "html" in str(content.get("type", "")) and content.get("value"):
            return str(content["value"])[:_MOST_TEXT]
    return ""


def _text_of(said: Mapping[str, Any], name: str, most: int) -> str:
    value = str(said.get(name) or "")[:_MOST_TEXT]
    kind = str((said.get(f"{name}_detail") or {}).get("type", ""))
    return (plain_text(value) if "html" in kind else value.strip())[:most]


def _link(value: object) -> str:
    """A link of the web; '' for any other, such as javascript:."""
    link = str(value or "").strip()[:_MOST_LINK]
    return link if link.lower().startswith(("http://", "https://")) else ""


def _moment(parsed: struct_time | None) -> str:
    """ISO 8601 in UTC; '' for no date, or one that cannot be."""
    if parsed is None:
        return ""
    try:
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _image(entry: Mapping[str, Any]) -> str:
    pictures = [*(entry.get("media_thumbnail") or ()), *(entry.get("media_content") or ())]
    pictures += [one for one in entry.get("enclosures") or () if str(one.get("type", "")).startswith("image/")]
    links = (_link(one.get("url") or one.get("href")) for one in pictures)
    return next((link for link in links if link), "")
