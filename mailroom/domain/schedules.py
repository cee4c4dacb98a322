"""A schedule: content, audience and recurrence.

`MOVES` is the whole state machine: for each trigger, the states that it leads away from and the state that it leads to.
The writes in storage/schedules take their conditions from it; in any other state a write changes nothing.
A schedule is created `active`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypedDict

from mailroom.domain.attached_files import AttachedFile
from mailroom.domain.audience_versions import ListChoice, Selection, all_of
from mailroom.domain.bodies.written import Written
from mailroom.domain.feeds.model import Feed
from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Recurrence


class ScheduleState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    FINISHED = "finished"
    ARCHIVED = "archived"


class ScheduleTrigger(StrEnum):
    """The causes of a schedule's moves."""

    PAUSED = "paused"  # by a person
    SET_ASIDE = "set_aside"  # by planning: its rule cannot be computed
    RESUMED = "resumed"
    RESUMED_AT_END = "resumed_at_end"  # resumed without a further due instant
    CAME_TO_END = "came_to_end"  # its last due instant is decided
    GIVEN_A_RULE = "given_a_rule"  # by an edit after its end
    ARCHIVED = "archived"
    RESTORED = "restored"  # from the archive


S = ScheduleState

MOVES: Final[dict[ScheduleTrigger, tuple[frozenset[ScheduleState], ScheduleState]]] = {
    # From finished too: a schedule is finished once its last instant is decided, while the run may only have begun.
    ScheduleTrigger.PAUSED: (frozenset({S.ACTIVE, S.FINISHED}), S.PAUSED),
    ScheduleTrigger.SET_ASIDE: (frozenset({S.ACTIVE}), S.PAUSED),
    ScheduleTrigger.RESUMED: (frozenset({S.PAUSED}), S.ACTIVE),
    ScheduleTrigger.RESUMED_AT_END: (frozenset({S.PAUSED}), S.FINISHED),
    ScheduleTrigger.CAME_TO_END: (frozenset({S.ACTIVE}), S.FINISHED),
    # A paused schedule gets a new rule and stays paused: no move.
    ScheduleTrigger.GIVEN_A_RULE: (frozenset({S.FINISHED}), S.ACTIVE),
    ScheduleTrigger.ARCHIVED: (frozenset(S) - {S.ARCHIVED}, S.ARCHIVED),
    # Never directly to active: a person must review a restored schedule before it sends.
    ScheduleTrigger.RESTORED: (frozenset({S.ARCHIVED}), S.PAUSED),
}


class MisfirePolicy(StrEnum):
    RUN_ONCE = "run_once"
    SKIP = "skip"
    RUN_ALL = "run_all"


DEFAULT_GRACE_S: Final = 3600


class MisfireFields(TypedDict, total=False):
    """The requested misfire rule; an absent field has its default."""

    policy: str
    grace_s: int


@dataclass(frozen=True, slots=True)
class Misfire:
    """The rule for instants that were missed by more than the grace."""

    policy: MisfirePolicy = MisfirePolicy.RUN_ONCE
    grace_s: int = DEFAULT_GRACE_S


@dataclass(frozen=True, slots=True)
class Content:
    """One revision of the content and audience of a schedule. A run takes the revision of its due instant."""

    sender: str  # the From mailbox
    subject: str
    text: str
    html: str
    audience: AudienceId
    recipients: int
    reply_to: str = ""
    tags: tuple[str, ...] = ()
    topic: str = ""  # '': its mail needs no consent
    footer: str = ""  # the sender's postal address, for bodies without a link to unsubscribe; '': no footer
    feed: Feed | None = None
    lists: tuple[ListChoice, ...] = ()  # empty: all of `audience`. An address goes by the first list that holds it
    excluded: tuple[ListChoice, ...] = ()
    written: Written | None = None  # what text and html were made of; None: they are as they were written
    headers: tuple[tuple[str, str], ...] = ()  # of the schedule's own, in each of its mails
    files: tuple[AttachedFile, ...] = ()  # that each of its mails carries
    template: PinnedTemplate | None = None  # the version that says subject and bodies; None: the schedule says them

    @property
    def goes_to(self) -> tuple[ListChoice, ...]:
        return all_of(self.lists, self.audience)

    @property
    def is_composed(self) -> bool:
        """True if it goes to several lists, to a part of one, or not to some."""
        return bool(self.lists or self.excluded)

    @property
    def whole_audience(self) -> AudienceId | None:
        """The audience that it goes to the whole of, less those left out; None where it goes to segments, or to
        several."""
        return self.audience if self.goes_to == (ListChoice(self.audience),) else None

    @property
    def as_written(self) -> Written:
        return self.written or Written(self.text, self.html)


@dataclass(frozen=True, slots=True)
class Revision:
    """A content and the start of its validity: due instants from `valid_from` until the next revision take it."""

    number: int
    valid_from: datetime
    audience: AudienceId
    recipients: int
    lists: tuple[ListChoice, ...] = ()
    excluded: tuple[ListChoice, ...] = ()
    has_feed: bool = False
    template: PinnedTemplate | None = None

    @property
    def selection(self) -> Selection:
        """Who it goes to, as of no version yet."""
        lists = all_of(self.lists, self.audience)
        return Selection(tuple(one.as_of(None) for one in lists), tuple(one.as_of(None) for one in self.excluded))


def revision_of(content: Content, number: int, valid_from: datetime) -> Revision:
    return Revision(
        number,
        valid_from,
        content.audience,
        content.recipients,
        content.lists,
        content.excluded,
        has_feed=content.feed is not None,
        template=content.template,
    )


def in_force(history: Sequence[Revision], due_at: datetime) -> Revision:
    """The revision for a due instant. `history` is newest first; its oldest revision holds if all are later."""
    return next((revision for revision in history if revision.valid_from <= due_at), history[-1])


@dataclass(frozen=True, slots=True)
class Schedule:
    """A stored schedule. `version` counts its edits (the ETag); `revision` counts its contents.

    `decided_through`: every due instant up to here has its run or its recorded decision. `next_run_at`: the first
    due instant after it, or None.

    `look_at`: when planning looks at it next, of one that goes out in each recipient's own time (see beginnings.py).
    `default_time_zone`: for contacts without one; '': that of the recurrence.
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
    set_aside: str = ""  # the reason why planning paused the schedule: its rule cannot be computed; '' otherwise
    restored_at: datetime | None = None  # time of its return from the archive, until it is resumed
    restored_by: str = ""
    rule_since: datetime | None = None  # start of the present recurrence; None: since the creation of the schedule
    delivery: DeliveryTime = DeliveryTime.SCHEDULE_TIME
    default_time_zone: str = ""
    look_at: datetime | None = None

    @property
    def ruled_since(self) -> datetime:
        """Due instants after this time follow the present recurrence."""
        return self.rule_since or self.created_at

    @property
    def default_zone(self) -> str:
        """The time zone of contacts without one."""
        return self.default_time_zone or self.recurrence.time_zone

    @property
    def wanted_at(self) -> datetime | None:
        """When planning is to look at it next."""
        return self.look_at or self.next_run_at


@dataclass(frozen=True, slots=True)
class LastTimes:
    """What lies behind a schedule. A run that a person asked for counts as any other; a decision not to run does not.

    `ran_at`: the due instant of its newest run. `sent_at`: when a provider last accepted one of its mails, to the
    second. None before the first.
    """

    ran_at: datetime | None = None
    sent_at: datetime | None = None
