"""A body as a feed: JSON or XML, told by its first character, whatever its server calls it."""

from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.model import FeedContent
from mailroom.domain.feeds.newer import size_of
from mailroom.domain.limits import MAX_FEED_FOUND, MAX_FEED_ITEM_CHARACTERS
from mailroom.feeds.decoding import text_of
from mailroom.feeds.json_feeds import read_json


def read_feed(body: bytes, content_type: str, *, url: str) -> FeedContent:
    """`url`: what relative links of the feed are relative to. Raises FeedFailed."""
    text = text_of(body, content_type).lstrip()
    if text[:1] in ("{", "["):
        content = read_json(text)
    elif text[:1] == "<":
        # feedparser takes a tenth of a second and 10 MB, which are wasted without such feeds.
        from mailroom.feeds.xml_feeds import read_xml

        content = read_xml(text, url=url)
    else:
        raise FeedFailed(FeedOutcome.BAD, "it is neither JSON nor XML")
    if len(content.items) > MAX_FEED_FOUND:
        raise FeedFailed(FeedOutcome.BAD, f"it has more than {MAX_FEED_FOUND:,} items")
    for name, said in (("its own fields", content.fields), *((f"items[{n}]", i) for n, i in enumerate(content.items))):
        if size_of(said) > MAX_FEED_ITEM_CHARACTERS:
            raise FeedFailed(FeedOutcome.BAD, f"{name}: more than {MAX_FEED_ITEM_CHARACTERS:,} characters")
    return content
