"""The draft of a schedule, checked with its audience."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mailroom.domain.audiences import Known
from mailroom.domain.drafts import Checked, Draft, Kept, check_draft
from mailroom.domain.errors import AudienceNotFound, Fault, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.recurrence.model import Recurrence
from mailroom.domain.sender_rules import SenderRule
from mailroom.services.common import sender_rules
from mailroom.services.consent import topics
from mailroom.services.schedules.audiences import named
from mailroom.storage.database import Db, Session, server_now
from mailroom.storage.schedules import audiences


class Origin(StrEnum):
    """Where an audience comes from."""

    NEW = "new"  # handed in with the draft
    LISTED = "listed"
    OWN = "own"  # the schedule's already


@dataclass(frozen=True, slots=True)
class ChosenAudience:
    """The recipients of a schedule, as a person chose them."""

    id: AudienceId
    count: int
    origin: Origin

    def take(self, db: Db, session: Session) -> None:
        """Make it the schedule's, in the schedule's own transaction. Raises InvalidInput where it is gone by now."""
        if self.origin is Origin.NEW:
            audiences.keep(db, self.id, session=session)
        elif self.origin is Origin.LISTED:
            try:
                audiences.use(db, self.id, session=session)
            except AudienceNotFound as error:
                raise InvalidInput(Fault("audience", str(error))) from None


def check(
    db: Db, draft: Draft, *, now: datetime, rule: Recurrence | None = None, own: ChosenAudience | None = None
) -> tuple[Checked, ChosenAudience]:
    """The draft as it can be stored, and its audience; new recipients are staged. An edit keeps the stored `rule`, and
    its `own` audience, where it names no other.

    Raises InvalidInput with every fault, SendersTooOld, Unavailable.
    """
    checked_draft, goes = checked(db, draft, now=now, rule=rule, own=own)
    staged = goes or ChosenAudience(
        audiences.stage(db, checked_draft.recipients, now=now), len(checked_draft.recipients), Origin.NEW
    )
    return checked_draft, staged


def faults_of(db: Db, draft: Draft, *, rule: Recurrence | None = None) -> tuple[Fault, ...]:
    """Every fault of a new draft, for a form that is refused in any case. `rule`: stands in for the draft's own
    recurrence, whose faults are then not looked for."""
    try:
        checked(db, draft, now=server_now(db), rule=rule)
    except InvalidInput as error:
        return error.faults
    return ()


def checked(
    db: Db, draft: Draft, *, now: datetime, rule: Recurrence | None = None, own: ChosenAudience | None = None
) -> tuple[Checked, ChosenAudience | None]:
    """As `check`, but new recipients are not staged: then there is no audience."""
    goes, known, faults = _chosen(db, draft, own)
    topic = topics.find(db, draft.topic) if draft.topic else None
    try:
        found = check_draft(draft, now=now, kept=Kept(rule, known, topic))
    except InvalidInput as error:
        raise InvalidInput(*faults, *error.faults) from None
    if faults:
        raise InvalidInput(*faults)
    if topic:
        sender_rules.require(db, SenderRule.TOPICS)
    if found.feed:
        sender_rules.require(db, SenderRule.FEEDS)
    return found, goes


def _chosen(
    db: Db, draft: Draft, own: ChosenAudience | None
) -> tuple[ChosenAudience | None, Known | None, tuple[Fault, ...]]:
    """The existing audience, if one is chosen, the facts known about it, and the faults of the choice."""
    if draft.audience:
        try:
            found, known = named(db, draft.audience)
        except InvalidInput as error:
            return None, None, error.faults
        return ChosenAudience(found.id, found.count, Origin.LISTED), known, ()
    return (own, audiences.known(db, own.id), ()) if own else (None, None, ())
