"""A schedule: what to send, to whom, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.domain.recurrence.model import Recurrence


class ScheduleState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    FINISHED = "finished"
    ARCHIVED = "archived"


class MisfirePolicy(StrEnum):
    RUN_ONCE = "run_once"
    SKIP = "skip"
    RUN_ALL = "run_all"


DEFAULT_GRACE_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Misfire:
    """What becomes of instants that were missed by more than the grace."""

    policy: MisfirePolicy = MisfirePolicy.RUN_ONCE
    grace_s: int = DEFAULT_GRACE_S


@dataclass(frozen=True, slots=True)
class Content:
    """One revision of what a schedule sends, and to whom. A run takes the revision of its due instant."""

    sender: str  # the From mailbox
    subject: str
    text: str
    html: str
    audience: AudienceId
    recipients: int
    reply_to: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revision:
    """Which content is in force from when; due instants from `valid_from` on take it, until a later one's."""

    number: int
    valid_from: datetime
    audience: AudienceId
    recipients: int


def in_force(history: Sequence[Revision], due_at: datetime) -> Revision:
    """The revision for a due instant, of a history that is newest first; the first ever where all are later."""
    return next((revision for revision in history if revision.valid_from <= due_at), history[-1])


@dataclass(frozen=True, slots=True)
class Schedule:
    """A stored schedule. `version` counts its edits (the ETag); `revision` counts its contents.

    `decided_through`: every due instant up to here has its run or its recorded decision. `next_run_at` is the first
    one after it, None when there is none.
    """

    id: ScheduleId
    name: str
    state: ScheduleState
    recurrence: Recurrence
    misfire: Misfire
    revision: int
    version: int
    decided: int
    decided_through: datetime
    next_run_at: datetime | None
    created_at: datetime
    updated_at: datetime
    paused_at: datetime | None = None
    set_aside: str = ""  # why planning paused it: the reason why its rule cannot be computed; '' otherwise
    rule_since: datetime | None = None  # since when the recurrence is what it is; None: since it was made

    @property
    def ruled_since(self) -> datetime:
        """Due instants after this are the recurrence's own."""
        return self.rule_since or self.created_at
