"""Give each run its feed: fetched once, by the holder of its lane, after the run exists and outside of any transaction.

A run waits for its feed in the state `planning`, marked by `awaits_feed`; no message is written before. The copy that
is stored first is the run's for good: whoever plans it, also after a crash, takes that one. A run that gets no items is
skipped or sent, as its schedule says.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain import run_content
from mailroom.domain.feeds.failures import FeedFailed, FeedOutcome
from mailroom.domain.feeds.model import Feed, FeedContent, KeptFeed, WithoutFeed, empty_values
from mailroom.domain.feeds.newer import distinct, new_among, seen_by_now, taken
from mailroom.domain.feeds.retrying import next_try
from mailroom.domain.feeds.urls import FeedUrl, read_url
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import RunId, ScheduleId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.run_values import FEED, RunValues
from mailroom.domain.runs import Run
from mailroom.feeds.fetching import Fetcher
from mailroom.storage import holds, lanes
from mailroom.storage.cluster import restore_mark
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.schedules import awaited_feeds, contents, run_feeds

log = structlog.get_logger()
NOTHING_NEW: Final = "nothing new in its feed"
NOTHING_THERE: Final = "nothing in its feed"
_UNFIT: Final = "the content cannot be filled in with its feed"
_MOST_LOOKED_BACK: Final = 200  # runs, for the last one that sent something


@dataclass(frozen=True, slots=True)
class AwaitedFeed:
    """A run in planning, and the feed that it waits for."""

    run: Run
    feed: Feed

    @property
    def url(self) -> FeedUrl:
        return read_url(self.feed.url)


@dataclass(frozen=True, slots=True)
class Holding:
    """What makes decisions about a run valid: the token of its lane, and MongoDB's mark."""

    token: Token
    mark: int


def awaited(db: Db, schedules: Collection[ScheduleId], *, now: datetime, limit: int) -> Sequence[AwaitedFeed]:
    """Feeds that runs of these schedules wait for, longest waiting first: none of paused runs, and none at all while
    all sending is stopped. Raises Unavailable."""
    waiting = awaited_feeds.awaiting_feeds(db, schedules, now=now, limit=limit)
    if not waiting:
        return ()
    on_hold = holds.held_among(db, [EVERYTHING, *(run.id for run in waiting)])
    if EVERYTHING in on_hold:
        return ()
    feeds = contents.feeds_of(db, [(run.schedule_id, run.revision) for run in waiting])
    return [AwaitedFeed(run, feeds[run.schedule_id, run.revision]) for run in waiting if run.id not in on_hold]


def provide(db: Db, fetcher: Fetcher, awaited_feed: AwaitedFeed, holding: Holding) -> None:
    """Fetch a run's feed, unless a copy is stored, and let the run go on; or note why it cannot.

    Raises StaleToken, StoreRestored, Unavailable: then nothing is decided, and the next holder goes on from here.
    """
    run = awaited_feed.run
    kept = run_feeds.find(db, run.id) or _of_source(db, run) or _fetched(db, fetcher, awaited_feed, holding)
    if kept is not None:
        _go_on(db, run, awaited_feed.feed, kept, holding)


def put_off(db: Db, run_id: RunId, problem: str, *, again_at: datetime) -> None:
    """Try a run's feed again later, after an error that is nobody's fault but ours. Raises Unavailable."""
    awaited_feeds.feed_failed(db, run_id, problem, again_at=again_at)


def as_it_is_now(fetcher: Fetcher, feed: Feed) -> Mapping[str, object]:
    """What a template would get of a feed now, of new items and others; for previews. Raises FeedFailed."""
    content = fetcher.fetch_briefly(feed)
    return {**content.fields, "items": taken(list(distinct(content.items).values()))}


def _of_source(db: Db, run: Run) -> KeptFeed | None:
    """A resent run says what its source said."""
    kept = run_feeds.find(db, run.source) if run.source else None
    return run_feeds.keep_first(db, replace(kept, run_id=run.id)) if kept else None


def _fetched(db: Db, fetcher: Fetcher, awaited_feed: AwaitedFeed, holding: Holding) -> KeptFeed | None:
    """The copy that the run has from now on; None if there is none yet, or the run is skipped."""
    run, feed = awaited_feed.run, awaited_feed.feed
    try:
        fetched = _copy_of(db, run, feed, fetcher.fetch(feed))
        if fetched.items and (why := _why_unfit(db, run, fetched)):
            raise FeedFailed(FeedOutcome.BAD, f"{_UNFIT}: {why}")
    except FeedFailed as failed:
        return _after_failure(db, awaited_feed, failed, holding)
    kept = run_feeds.keep_first(db, fetched)
    log.info("feed_kept", run_id=run.id, found=kept.found, taken=len(kept.items))
    return kept


def _copy_of(db: Db, run: Run, feed: Feed, content: FeedContent) -> KeptFeed:
    now, items = server_now(db), distinct(content.items)
    earlier = _seen_before(db, run, now)
    offered = new_among(items, earlier) if feed.only_newer else list(items.values())
    return KeptFeed(
        run_id=run.id,
        schedule_id=run.schedule_id,
        fetched_at=now,
        url=read_url(feed.url).shown,
        values={**content.fields, "items": taken(offered)},
        found=len(items),
        seen=seen_by_now(items, earlier),
    )


def _seen_before(db: Db, run: Run, now: datetime) -> Sequence[str]:
    """The keys that the last run with an accepted dispatch had seen: a run that reached nobody used nothing up."""
    for earlier in run_feeds.newest_of(db, run.schedule_id, before=now, limit=_MOST_LOOKED_BACK):
        if earlier != run.id and dispatch_queries.any_accepted(db, earlier):
            kept = run_feeds.find(db, earlier)
            return kept.seen if kept else ()
    return ()


def _after_failure(db: Db, awaited_feed: AwaitedFeed, failed: FeedFailed, holding: Holding) -> KeptFeed | None:
    """Try again later, or decide at the deadline. Returns the copy with which the run goes on without its feed."""
    run, feed, now, why = awaited_feed.run, awaited_feed.feed, server_now(db), str(failed)
    again_at = next_try(run, feed, tries=run.feed_tries + 1, now=now)
    url = awaited_feed.url.shown
    log.warning("feed_failed", run_id=run.id, url=url, outcome=failed.outcome, why=why, gives_up=again_at is None)
    if again_at is not None:
        awaited_feeds.feed_failed(db, run.id, why, again_at=again_at)
        return None
    if feed.when_away is WithoutFeed.SKIP:
        _skip(db, run, f"its feed did not come: {why}", holding)
        return None
    without = KeptFeed(run.id, run.schedule_id, now, url, empty_values(), 0, _seen_before(db, run, now), away=why)
    return run_feeds.keep_first(db, without)


def _go_on(db: Db, run: Run, feed: Feed, kept: KeptFeed, holding: Holding) -> None:
    if not (kept.items or kept.away or run.source or feed.when_empty is WithoutFeed.SEND):
        _skip(db, run, NOTHING_NEW if kept.found else NOTHING_THERE, holding)
    elif why := _why_unfit(db, run, kept):
        _skip(db, run, f"{_UNFIT}: {why}", holding)
    else:
        awaited_feeds.feed_came(db, run.id)


def _why_unfit(db: Db, run: Run, kept: KeptFeed) -> str:
    """Why the run's content cannot be filled in with this copy; '' if it can. Found here, so that planning never
    does."""
    content = contents.get(db, run.schedule_id, run.revision)
    return run_content.why_unfit(content, RunValues.of({FEED: dict(kept.values)}))


def _skip(db: Db, run: Run, reason: str, holding: Holding) -> None:
    """A decision not to run, under the guard of the lane. A run that was paused or cancelled meanwhile stays as it
    is."""

    def work(session: Session) -> bool:
        restore_mark.require_mark(db, holding.mark, session)
        with lanes.under(db, {schedule_lane(run.schedule_id): holding.token}, session) as guard:
            return awaited_feeds.skip(db, run.id, reason, guard=guard)

    if in_transaction(db, work):
        log.info("run_skipped", run_id=run.id, reason=reason)
