"""RSS and Atom, taken apart by feedparser, after a look of our own at the XML (docs/adr/0027).

feedparser goes on with XML that is broken, by a parser that takes time and memory without a bound, and expands
entities. So only well-formed XML without entities of its own comes to it, and it is given no HTML to mend.
"""

import calendar
import io
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from time import struct_time
from typing import Any, Final
from xml.parsers import expat

import feedparser

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.model import FeedContent
from mailroom.feeds.plain_text import plain_text

_MOST_ELEMENTS: Final = 40_000
_MOST_DEPTH: Final = 100
_MOST_TITLE: Final = 1_000  # characters
_MOST_LINK: Final = 2_000
_MOST_TEXT: Final = 100_000  # of a summary, or of a content
_MOST_TAGS: Final = 20
_DECLARATION: Final = re.compile(r"<\?xml[^>]*\?>")
_ENTITY: Final = re.compile(rb"<!ENTITY", re.IGNORECASE)


def read_xml(text: str, *, url: str) -> FeedContent:
    """`url`: what relative links are relative to. Raises FeedFailed."""
    # The text is ours by now: what the declaration says of its encoding is over.
    data = _DECLARATION.sub("", text, count=1).encode("utf-8", "replace")
    _check_xml(data)
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


def _check_xml(data: bytes) -> None:
    """Raises FeedFailed for XML that is not well-formed, has entities of its own, is too deep, or has too many
    elements. One pass, without a copy."""
    if _ENTITY.search(data):
        raise _with_entities()
    parser = expat.ParserCreate("utf-8")
    counts = {"elements": 0, "depth": 0}

    def start(_name: str, _attributes: Any) -> None:
        counts["elements"] += 1
        counts["depth"] += 1
        if counts["elements"] > _MOST_ELEMENTS:
            raise FeedFailed(FeedOutcome.BAD, f"it has more than {_MOST_ELEMENTS:,} elements")
        if counts["depth"] > _MOST_DEPTH:
            raise FeedFailed(FeedOutcome.BAD, f"it is deeper than {_MOST_DEPTH} elements")

    def end(_name: str) -> None:
        counts["depth"] -= 1

    def doctype(_name: str, _system: Any, _public: Any, has_internal_subset: bool) -> None:
        if has_internal_subset:
            raise _with_entities()

    def refused(*_: Any) -> Any:
        raise _with_entities()

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler, parser.EntityDeclHandler = doctype, refused
    parser.ExternalEntityRefHandler = refused
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        why = expat.ErrorString(error.code)
        raise FeedFailed(FeedOutcome.BAD, f"its XML is broken in line {error.lineno}: {why}") from None


def _with_entities() -> FeedFailed:
    return FeedFailed(FeedOutcome.BAD, "its XML declares entities of its own, which are not read")


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
