"""Feeds in JSON: as a schedule names one, and as a run has kept it."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.feeds.checking import fields_of
from mailroom.domain.feeds.model import Feed, WithoutFeed
from mailroom.domain.limits import MAX_FEED_HEADERS, MAX_FEED_URL
from mailroom.services.reports.runs import RunFeed
from scheduler_api.arguments import RequestBody

_HEADERS_DOC: Final = {"description": "names of headers, each with the name of a secret of MAILROOM_FEED_SECRETS"}
_TIMEOUT_DOC: Final = {"description": "seconds for one fetch, from the look-up of the name to the last byte"}
_NEWER_DOC: Final = {"description": "true: only items that no earlier run had before it when it sent something"}
_EMPTY_DOC: Final = {"description": "what becomes of a run without items"}
_DEADLINE_DOC: Final = {"description": "seconds after the due instant for which a fetch that fails is repeated"}
_AWAY_DOC: Final = {"description": "what becomes of a run whose feed has not come by then"}


class FeedIn(RequestBody):
    """It is given whole: a field that is left out has its default."""

    url = fields.String(required=True, validate=validate.Length(max=MAX_FEED_URL))
    headers = fields.Dict(
        keys=fields.String(validate=validate.Length(max=200)),
        values=fields.String(validate=validate.Length(max=200)),
        validate=validate.Length(max=MAX_FEED_HEADERS),
        metadata=_HEADERS_DOC,
    )
    timeout_s = fields.Integer(strict=True, metadata=_TIMEOUT_DOC)
    only_newer = fields.Boolean(truthy={True}, falsy={False}, metadata=_NEWER_DOC)
    when_empty = fields.String(validate=validate.OneOf(list(WithoutFeed)), metadata=_EMPTY_DOC)
    deadline_s = fields.Integer(strict=True, metadata=_DEADLINE_DOC)
    when_away = fields.String(validate=validate.OneOf(list(WithoutFeed)), metadata=_AWAY_DOC)


class RunFeedOut(Schema):
    run_id = fields.String()
    status = fields.String(
        metadata={
            "description": "`kept`; `waiting` until it comes; `without`: the run went without it; `none`: the run "
            "ended before it came"
        }
    )
    url = fields.String(allow_none=True, metadata={"description": "without its query"})
    fetched_at = fields.String(allow_none=True)
    tries = fields.Integer(metadata={"description": "fetches that failed"})
    problem = fields.String(allow_none=True, metadata={"description": "why the last of them failed"})
    next_try_at = fields.String(allow_none=True)
    found = fields.Integer(metadata={"description": "items in the feed, new or not"})
    feed = fields.Dict(allow_none=True, metadata={"description": "what the template gets: the feed's fields, `items`"})


def feed_out(feed: Feed | None) -> dict[str, Any] | None:
    return dict(fields_of(feed)) if feed else None


def run_feed(shown: RunFeed) -> dict[str, Any]:
    run, kept = shown.run, shown.kept
    return {
        "run_id": run.id,
        "status": shown.status,
        "url": kept.url if kept else None,
        "fetched_at": kept.fetched_at.isoformat() if kept and not kept.away else None,
        "tries": run.feed_tries,
        "problem": (kept.away if kept else "") or run.feed_problem or None,
        "next_try_at": run.awaits_feed.isoformat() if run.awaits_feed else None,
        "found": kept.found if kept else 0,
        "feed": dict(kept.values) if kept else None,
    }
