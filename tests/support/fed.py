"""Schedules with feeds, and their runs, by the services themselves."""

from typing import Any

from mailroom.domain.ids import RunId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import Run
from mailroom.domain.schedules import Schedule
from mailroom.feeds.fetching import Fetcher
from mailroom.services.planning import asked_runs, feeds
from mailroom.services.planning.feeds import AwaitedFeed, Holding
from mailroom.storage.database import Db, server_now
from mailroom.storage.schedules import run_feeds, runs
from tests.support.builders import stored_schedule
from tests.support.feed_server import FeedServer, rules_for
from tests.support.lines import Line


def fed_schedule(db: Db, server: FeedServer, **feed: Any) -> Schedule:
    """A schedule with the feed of this server."""
    return stored_schedule(db, feed={"url": server.url, "timeout_s": 2, **feed})


def asked_run(line: Line, schedule: Schedule, key: str = "k") -> RunId:
    """A run that waits for its feed, its lane held by the line."""
    line.take(schedule_lane(schedule.id), token=1 + line.held.get(schedule_lane(schedule.id), Token(0)))
    return asked_runs.run_now(line.db, schedule.id, owner="tests", key=key)[0].id


def waiting(line: Line) -> list[AwaitedFeed]:
    """The feeds that runs in the line's lanes wait for now."""
    schedules = [run.schedule_id for run in _runs(line.db) if schedule_lane(run.schedule_id) in line.held]
    return list(feeds.awaited(line.db, schedules, now=server_now(line.db), limit=10))


def provide(line: Line, server: FeedServer, awaited: AwaitedFeed, *, token: Token | None = None) -> None:
    """Give a run its feed, as the line's sender does."""
    held = line.held[schedule_lane(awaited.run.schedule_id)] if token is None else token
    feeds.provide(line.db, Fetcher(rules_for(server)), awaited, Holding(held, mark=0))


def provide_all(line: Line, server: FeedServer) -> None:
    for awaited in waiting(line):
        provide(line, server, awaited)


def titles(db: Db, run_id: RunId) -> list[object]:
    """The titles of the items that a run has kept."""
    kept = run_feeds.find(db, run_id)
    return [item.get("title") for item in kept.items] if kept else []


def is_due_again(db: Db, run_id: RunId) -> Run:
    """Let the time pass until the run's feed is fetched again."""
    db.runs.update_one({"_id": run_id}, {"$set": {"awaits_feed": server_now(db)}})
    return runs.get(db, run_id)


def _runs(db: Db) -> list[Run]:
    return runs.page(db, schedule_id=None, before=None, limit=100)
