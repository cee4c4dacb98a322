"""A run: one schedule at one due instant (or one 'run now'). Its id is made from both, so it can exist once.

`MOVES` is the whole state machine: for each trigger, the states that it leads away from and the state that it leads to.
The writes in storage/schedules (run_moves.py, run_planning.py, awaited_feeds.py) take their conditions from it; in any
other state a write changes nothing. A run is made `planning`, or `skipped` for good. One that waits for its feed may be
skipped later.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mailroom.domain.audience_versions import AudienceVersion, Selection
from mailroom.domain.ids import AudienceId, RunId, ScheduleId
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.recipient_times import RecipientTime


class RunState(StrEnum):
    PLANNING = "planning"  # its messages are still being written
    PLANNED = "planned"  # all messages and dispatches are written
    FINISHED = "finished"  # no dispatch is open
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # the recorded decision not to run


OPEN: Final = frozenset({RunState.PLANNING, RunState.PLANNED})


class RunTrigger(StrEnum):
    """The causes of a run's moves."""

    PLANNED = "planned"  # its last chunk is written
    FINISHED = "finished"  # none of its dispatches is open
    CANCELLED = "cancelled"  # by a person, or with its schedule
    SKIPPED = "skipped"  # before any message: its feed has nothing new, or did not come in time
    REOPENED = "reopened"  # one of its dispatches is open again: requeued by a person, or named by an event


S = RunState

MOVES: Final[dict[RunTrigger, tuple[frozenset[RunState], RunState]]] = {
    RunTrigger.PLANNED: (frozenset({S.PLANNING}), S.PLANNED),
    RunTrigger.FINISHED: (frozenset({S.PLANNED}), S.FINISHED),
    RunTrigger.CANCELLED: (OPEN, S.CANCELLED),
    # Only while it waits for its feed (see services/planning/feeds.py): nobody has a message of it yet.
    RunTrigger.SKIPPED: (frozenset({S.PLANNING}), S.SKIPPED),
    # To `planned`, not to `planning`, because all its messages are written. A cancelled run stays cancelled, even after
    # a requeue of one of its dispatches.
    RunTrigger.REOPENED: (frozenset({S.FINISHED}), S.PLANNED),
}


class RunKind(StrEnum):
    DUE = "due"
    ASKED = "asked"  # run now: does not count for max_runs
    AGAIN = "again"  # a resend to recipients that an earlier run did not reach; does not count for max_runs


@dataclass(frozen=True, slots=True)
class Run:
    """A stored run. `planned_through`: the folded address up to which messages exist, '' before the first. In a resend
    of `source` it is the id of the source run's message.

    `unwritten`: the run was cancelled before all its messages were written. The others are then written as cancelled.

    `selection`: who it goes to, as of `starts_at`; None: everybody in `audience`, as that was made. `recipients`:
    how many these are; while a run to several lists is planned, at most so many.

    `template`: the version that its content was made of; None without one.

    `awaits_feed`: from when on its feed is fetched, for the first time or again; no message is written before it is
    there. None once the run has it, and without a feed. `feed_tries`, `feed_problem`: of fetches that failed.

    `recipient_time`: of one that goes out in each recipient's own time; None: at once to all. Such a run is planned in
    slices, and `planned_through` is a place in them (see slice_places.py).

    A skipped run represents `instants` due instants from `due_at` to `due_through`.
    """

    id: RunId
    schedule_id: ScheduleId
    kind: RunKind
    state: RunState
    due_at: datetime
    revision: int
    audience: AudienceId | None
    recipients: int
    created_at: datetime
    planned_through: str = ""
    chunks: int = 0
    placed: int = 0  # members of the audience that are planned
    planned_at: datetime | None = None
    finished_at: datetime | None = None
    cancelled_at: datetime | None = None
    reason: str | None = None
    due_through: datetime | None = None
    instants: int = 1
    source: RunId | None = None
    groups: int | None = None  # of a resend: the number of groups of its recipients; None in old runs
    unwritten: bool = False
    paused_at: datetime | None = None  # a mark, not a state: planning and reconciliation go on, no new call starts
    paused_by: str = ""
    awaits_feed: datetime | None = None
    feed_tries: int = 0
    feed_problem: str = ""
    selection: Selection | None = None
    recipient_time: RecipientTime | None = None
    template: PinnedTemplate | None = None

    @property
    def starts_at(self) -> datetime:
        """When its first recipients are to get it. Its audiences, and its content, are those of this moment."""
        return self.recipient_time.starts_at if self.recipient_time else self.due_at

    @property
    def goes_to(self) -> Selection:
        """Who the run goes to. Raises LookupError for a record of a decision from before audiences."""
        if self.selection:
            return self.selection
        if self.audience is None:
            raise LookupError(f"run {self.id} has no audience")
        return Selection((AudienceVersion(self.audience),))

    @property
    def is_composed(self) -> bool:
        """True if the number of its recipients is known only once all of them are planned."""
        return self.source is None and self.selection is not None and self.selection.is_composed

    @property
    def recipients_known(self) -> int | None:
        """How many it goes to; None while that is not known."""
        return None if self.is_composed and self.planned_at is None and not self.ended else self.recipients

    @property
    def ended(self) -> bool:
        """True once all messages are written, and no dispatch of the run is pending."""
        return self.state in (RunState.FINISHED, RunState.CANCELLED) and not self.unwritten

    @property
    def under_way(self) -> bool:
        """True while a message is not yet written, or a dispatch of the run is open."""
        return self.state in OPEN or self.unwritten
