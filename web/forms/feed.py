"""The fields of a feed on the schedule form."""

from collections.abc import Mapping
from typing import Final

from wtforms.widgets import NumberInput

from mailroom.domain.feeds.model import DEFAULT_DEADLINE_S, DEFAULT_TIMEOUT_S, Feed, FeedFields, WithoutFeed
from web.forms.base import DomainForm
from web.forms.fields import ChoiceField, LongTextField, TextField

_NEW: Final = "new"
_ITEMS: Final[Mapping[str, str]] = {
    _NEW: "Only what is new since the last run that was sent",
    "all": "Everything in the feed",
}
_WITHOUT: Final[Mapping[str, str]] = {WithoutFeed.SKIP: "Skip the run", WithoutFeed.SEND: "Send without it"}
DEFAULTS: Final = {
    "feed_items": _NEW,
    "feed_empty": WithoutFeed.SKIP,
    "feed_away": WithoutFeed.SKIP,
    "feed_minutes": f"{DEFAULT_DEADLINE_S / 60:g}",
    "feed_timeout": str(DEFAULT_TIMEOUT_S),
}
#: The fields for the paths of the domain.
BESIDE: Final[Mapping[str, str]] = {
    "feed": "feed_url",
    "feed.url": "feed_url",
    "feed.headers": "feed_headers",
    "feed.deadline_s": "feed_minutes",
    "feed.timeout_s": "feed_timeout",
    "feed.when_empty": "feed_empty",
    "feed.when_away": "feed_away",
}


class FeedForm(DomainForm):
    """A feed, if a URL is typed."""

    feed_url = TextField("URL", description="Optional. JSON, RSS or Atom; each run fetches it once.")
    feed_items = ChoiceField("Items", choices=_ITEMS)
    feed_empty = ChoiceField("If there is nothing in it", choices=_WITHOUT)
    feed_away = ChoiceField("If it does not come", choices=_WITHOUT)
    feed_minutes = TextField(
        "Try for, in minutes", widget=NumberInput(min=0, step="any"), description="After the run was due."
    )
    feed_timeout = TextField("Seconds for one try", widget=NumberInput(min=1, step=1))
    feed_headers = LongTextField(
        "Headers",
        render_kw={"rows": 2, "class": "code"},
        description="Optional. A line for each, with the name of a secret of the settings: Authorization: shop",
    )

    def field_of(self, path: str) -> str:
        """A header's own fault stands beside all headers."""
        return "feed_headers" if path.startswith("feed.headers.") else super().field_of(path)

    @property
    def has_feed_fields(self) -> bool:
        """False for a form that was opened before there were feeds, and sent since."""
        return bool(self.feed_url.raw_data)

    def feed(self) -> FeedFields | None:
        """The typed feed; None without a URL."""
        if not self.feed_url.data.strip():
            return None
        return {
            "url": self.feed_url.data.strip(),
            "headers": _headers(self.feed_headers.data),
            "timeout_s": self._seconds("feed_timeout", 1),
            "only_newer": self.feed_items.data == _NEW,
            "when_empty": self.feed_empty.data,
            "deadline_s": self._seconds("feed_minutes", 60),
            "when_away": self.feed_away.data,
        }

    def _seconds(self, name: str, unit_s: int) -> int:
        """-1, which the domain refuses, for what is no number."""
        try:
            number = float(self[name].data)
        except ValueError:
            return -1
        return round(number * unit_s) if abs(number) < 10**9 else -1


def values_of(feed: Feed | None) -> dict[str, object]:
    """The fields that give this feed."""
    if feed is None:
        return {}
    return {
        "feed_url": feed.url,
        "feed_items": _NEW if feed.only_newer else "all",
        "feed_empty": feed.when_empty,
        "feed_away": feed.when_away,
        "feed_minutes": f"{feed.deadline_s / 60:g}",
        "feed_timeout": str(feed.timeout_s),
        "feed_headers": "\n".join(f"{name}: {secret}" for name, secret in feed.headers),
    }


def _headers(typed: str) -> dict[str, str]:
    lines = [line.partition(":") for line in typed.splitlines() if line.strip()]
    return {name.strip(): secret.strip() for name, _, secret in lines}
