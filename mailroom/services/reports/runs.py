"""Views of a run: its dispatches, its feed, its messages. Used by the API, the pages and the commands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.errors import RunFeedNotFound
from mailroom.domain.feeds.model import KeptFeed
from mailroom.domain.ids import DispatchId, RunId, ScheduleId, rfc_message_id
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.messages.model import StoredMessage
from mailroom.domain.messages.states import MessageState
from mailroom.domain.runs import Run
from mailroom.storage import lanes
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.dispatches.queries import Slice
from mailroom.storage.messages import document as messages
from mailroom.storage.messages.document import Reported
from mailroom.storage.schedules import contents, run_feeds, runs, schedules

_MOVING: Final = frozenset({DispatchState.PENDING, DispatchState.SENDING})


@dataclass(frozen=True, slots=True)
class RunView:
    """A run, how its dispatches stand, and why its lane waits, if it does. `slices`: of a run in each recipient's own
    time, what goes out when."""

    run: Run
    dispatches: Mapping[str, int]
    waits_until: datetime | None
    waits_why: str
    slices: Sequence[Slice] = ()


def get(db: Db, run_id: RunId) -> Run:
    """Raises RunNotFound."""
    return runs.get(db, run_id)


@dataclass(frozen=True, slots=True)
class RunFeed:
    """A run whose content has a feed, and the copy that it keeps; None before it came."""

    run: Run
    kept: KeptFeed | None

    @property
    def status(self) -> str:
        """`kept`, `without`, `waiting`, or `none`: the run ended before its feed came."""
        if self.kept:
            return "without" if self.kept.away else "kept"
        return "waiting" if self.run.awaits_feed else "none"


def feed_of(db: Db, run: Run) -> RunFeed | None:
    """None for a run whose content has no feed."""
    kept = run_feeds.find(db, run.id)
    has_feed = kept or run.awaits_feed or contents.feeds_of(db, [(run.schedule_id, run.revision)])
    return RunFeed(run, kept) if has_feed else None


def get_feed(db: Db, run_id: RunId) -> RunFeed:
    """Raises RunNotFound, RunFeedNotFound."""
    found = feed_of(db, runs.get(db, run_id))
    if found is None:
        raise RunFeedNotFound(run_id)
    return found


def view(db: Db, run_id: RunId) -> RunView:
    """Raises RunNotFound."""
    run = runs.get(db, run_id)
    lane = schedule_lane(run.schedule_id)
    until, why = lanes.why_waiting(db, lane, now=server_now(db)) or (None, "")
    return RunView(run, dispatch_queries.count_by_state(db, run_id), until, why, slices_of(db, run))


def slices_of(db: Db, run: Run) -> Sequence[Slice]:
    """None of a run that goes out at once."""
    return dispatch_queries.slices_of(db, run.id) if run.recipient_time else ()


def moves(db: Db, shown: RunView) -> bool:
    """True while calls of this run may still change its numbers. Calls of a cancelled run may be under way too."""
    if shown.run.under_way or _MOVING & shown.dispatches.keys():
        return True
    return bool(messages.page(db, shown.run.id, state=MessageState.QUEUED, after="", limit=1))


def page(db: Db, *, schedule_id: ScheduleId | None, before: tuple[datetime, str] | None, limit: int) -> list[Run]:
    """Latest due instant first. Raises ScheduleNotFound."""
    if schedule_id is not None:
        schedules.get(db, schedule_id)
    return runs.page(db, schedule_id=schedule_id, before=before, limit=limit)


def messages_of(db: Db, run_id: RunId, *, state: MessageState | None, after: str, limit: int) -> list[StoredMessage]:
    """A page of a run's mails. Raises RunNotFound."""
    runs.get(db, run_id)
    return messages.page(db, run_id, state=state, after=after, limit=limit)


def dispatches_of(
    db: Db, *, state: DispatchState | None, run_id: RunId | None, after: str, limit: int
) -> list[Dispatch]:
    """A page of dispatches, of all runs or of one."""
    return dispatch_queries.page(db, state=state, run_id=run_id, after=after, limit=limit)


@dataclass(frozen=True, slots=True)
class DispatchView:
    """A dispatch with its trail, the Message-Id by which its provider knows it (None: it was never claimed), and how
    many of its mails the provider's events report."""

    dispatch: Dispatch
    message_id: str | None
    reported: Reported


def dispatch(db: Db, dispatch_id: DispatchId) -> DispatchView:
    """Raises DispatchNotFound."""
    stored = dispatch_queries.get(db, dispatch_id)
    message_id = rfc_message_id(dispatch_id, stored.account) if stored.account else None
    return DispatchView(stored, message_id, messages.reported(db, dispatch_id))
