"""A run: one schedule at one due instant (or one 'run now'). Its id is made from both, so it can exist once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mailroom.domain.ids import AudienceId, RunId, ScheduleId


class RunState(StrEnum):
    PLANNING = "planning"  # its messages are still being written
    PLANNED = "planned"  # all messages and dispatches stand
    FINISHED = "finished"  # no dispatch is open any more
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # the recorded decision not to run


OPEN: Final = frozenset({RunState.PLANNING, RunState.PLANNED})


class RunKind(StrEnum):
    DUE = "due"
    ASKED = "asked"  # run now: does not count for max_runs
    AGAIN = "again"  # to those whom an earlier run did not reach; neither does this


@dataclass(frozen=True, slots=True)
class Run:
    """A stored run. `planned_through` is the folded address up to which messages exist, '' before the first; of one to
    those whom `source` did not reach, that run's message.

    `unwritten`: it was cancelled before all its messages were written; the others follow, as cancelled.

    A skipped run stands for `instants` due instants from `due_at` to `due_through`.
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
    placed: int = 0  # members of the audience for whom it is planned
    planned_at: datetime | None = None
    finished_at: datetime | None = None
    cancelled_at: datetime | None = None
    reason: str | None = None
    due_through: datetime | None = None
    instants: int = 1
    source: RunId | None = None
    groups: int | None = None  # of a resent run: how many groups its recipients are cut into; None in old runs
    unwritten: bool = False
    paused_at: datetime | None = None  # a mark, not a state: planning and reconciliation go on, nothing new is called
    paused_by: str = ""

    @property
    def ended(self) -> bool:
        """True once all its messages stand, and none of its dispatches waits."""
        return self.state in (RunState.FINISHED, RunState.CANCELLED) and not self.unwritten

    @property
    def under_way(self) -> bool:
        """False once all is known of whom it goes to, and of who may still get something."""
        return self.state in OPEN or self.unwritten
