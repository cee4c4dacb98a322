"""The draft of a schedule, checked with its audiences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from mailroom.domain.attached_files import AttachedFile, attached
from mailroom.domain.audience_versions import ListChoice, all_of
from mailroom.domain.audiences import Known
from mailroom.domain.draft_checks import Checked, check_draft
from mailroom.domain.drafts import Draft, Kept
from mailroom.domain.errors import AudienceNotFound, Fault, InvalidInput, SegmentNotFound
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_AUDIENCES
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Recurrence
from mailroom.domain.sender_rules import SenderRule
from mailroom.domain.templates import Template
from mailroom.services.audiences import segments
from mailroom.services.common import sender_rules
from mailroom.services.consent import topics
from mailroom.services.mails import templates
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db, Session, server_now
from mailroom.storage.schedules import attachments


class Origin(StrEnum):
    """Where an audience comes from."""

    NEW = "new"  # handed in with the draft
    LISTED = "listed"
    OWN = "own"  # the schedule's already


@dataclass(frozen=True, slots=True)
class ChosenAudience:
    """The recipients of a schedule, as a person chose them: an audience, or several. `count`: their contacts, an
    address in two audiences counted twice. `used`: listed audiences that the schedule did not name before."""

    id: AudienceId
    count: int
    origin: Origin
    lists: tuple[ListChoice, ...] = ()  # empty: all of this one
    excluded: tuple[ListChoice, ...] = ()
    used: tuple[tuple[str, AudienceId], ...] = ()  # each with its field in the draft

    @property
    def goes_to(self) -> tuple[ListChoice, ...]:
        return all_of(self.lists, self.id)

    def take(self, db: Db, session: Session) -> None:
        """Make it the schedule's, in the schedule's own transaction. Raises InvalidInput where one is gone by now."""
        if self.origin is Origin.NEW:
            audiences.keep(db, self.id, session=session)
        for path, audience in self.used:
            try:
                audiences.use(db, audience, session=session)
            except AudienceNotFound as error:
                raise InvalidInput(Fault(path, str(error))) from None


@dataclass(frozen=True, slots=True)
class Stays:
    """What an edit keeps of the stored schedule; None for what the draft names. `template`: the version to take of the
    template in the draft; None: the newest."""

    rule: Recurrence | None = None
    audience: ChosenAudience | None = None
    template: Template | None = None
    files: tuple[AttachedFile, ...] = ()


NOTHING_STAYS: Final = Stays()


def check(db: Db, draft: Draft, *, now: datetime, stays: Stays = NOTHING_STAYS) -> tuple[Checked, ChosenAudience]:
    """The draft as it can be stored, and its audience; new recipients and files are staged.

    Raises InvalidInput with every fault, SendersTooOld, Unavailable.
    """
    checked_draft, goes = checked(db, draft, now=now, stays=stays)
    if checked_draft.new_files:
        attachments.stage(db, {attached(file).digest: file.content for file in checked_draft.new_files}, now=now)
    staged = goes or ChosenAudience(
        audiences.stage(db, checked_draft.recipients, now=now), len(checked_draft.recipients), Origin.NEW
    )
    return checked_draft, staged


def faults_of(db: Db, draft: Draft, *, rule: Recurrence | None = None) -> tuple[Fault, ...]:
    """Every fault of a new draft, for a form that is refused in any case. `rule`: stands in for the draft's own
    recurrence, whose faults are then not looked for."""
    try:
        checked(db, draft, now=server_now(db), stays=Stays(rule))
    except InvalidInput as error:
        return error.faults
    return ()


def checked(
    db: Db, draft: Draft, *, now: datetime, stays: Stays = NOTHING_STAYS
) -> tuple[Checked, ChosenAudience | None]:
    """As `check`, but nothing is staged: of new recipients there is no audience."""
    chosen = _Choice(db, draft, stays.audience)
    topic = topics.find(db, draft.topic) if draft.topic else None
    template = stays.template or (templates.find(db, draft.template) if draft.template else None)
    try:
        found = check_draft(draft, now=now, kept=Kept(stays.rule, chosen.known, topic, template, stays.files))
    except InvalidInput as error:
        raise InvalidInput(*chosen.faults, *error.faults) from None
    if chosen.faults:
        raise InvalidInput(*chosen.faults)
    composed = bool(chosen.audience and (chosen.audience.lists or chosen.audience.excluded))
    _require_rules(db, found, composed=composed, has_html=bool(template and template.html_fields))
    if found.delivery is DeliveryTime.RECIPIENT_TIME:
        _count_zones(db, chosen.audience)
    return found, chosen.audience


def _require_rules(db: Db, found: Checked, *, composed: bool, has_html: bool) -> None:
    """Raises SendersTooOld while a process may run that would break a rule of this draft."""
    needed = {
        SenderRule.TOPICS: bool(found.topic),
        SenderRule.FEEDS: found.feed is not None,
        SenderRule.HEADERS: bool(found.headers),
        SenderRule.ATTACHMENTS: bool(found.files),
        SenderRule.RECIPIENT_TIME: found.delivery is DeliveryTime.RECIPIENT_TIME,
        SenderRule.AUDIENCES: composed,
        SenderRule.HTML_VALUES: has_html,
    }
    for rule in (rule for rule, is_needed in needed.items() if is_needed):
        sender_rules.require(db, rule)


def _count_zones(db: Db, goes: ChosenAudience | None) -> None:
    """Now, so that planning does not have to."""
    if goes:
        audiences.zones_of(db, {one.audience for one in goes.goes_to})


class _Choice:
    """Who a draft goes to: existing audiences, what is known about them, and the faults of the choice. None where the
    draft brings recipients of its own."""

    def __init__(self, db: Db, draft: Draft, own: ChosenAudience | None) -> None:
        self._db = db
        self.faults: list[Fault] = []
        self.audience: ChosenAudience | None = None
        self.known: Known | None = None
        if named := _named(draft):
            if (lists := self._found(named)) and not self.faults:
                self.audience = self._chosen(lists, own.excluded if own else ())
        elif own:
            self.audience = own
        if self.audience:
            self.known = _known_of_all(db, self.audience.goes_to)
            if draft.exclude is not None:
                self.audience = self._without(self.audience, draft.exclude)

    def _found(self, named: Mapping[str, str]) -> dict[str, ListChoice]:
        """The audiences and segments of these ids, by the path of each; each once. What there is not becomes a
        fault."""
        found: dict[str, ListChoice] = {}
        for path, id_ in named.items():
            try:
                choice = segments.choice(self._db, id_)
            except (AudienceNotFound, SegmentNotFound) as error:
                self.faults.append(Fault(path, str(error)))
                continue
            if choice not in found.values():
                found[path] = choice
        return found

    def _chosen(self, lists: Mapping[str, ListChoice], excluded: tuple[ListChoice, ...]) -> ChosenAudience:
        choices, used = tuple(lists.values()), tuple((path, one.audience) for path, one in lists.items())
        is_whole = len(choices) == 1 and not choices[0].only
        return ChosenAudience(
            choices[0].audience,
            audiences.count(self._db, [one.audience for one in choices]),
            Origin.LISTED,
            () if is_whole else choices,
            excluded,
            used,
        )

    def _without(self, goes: ChosenAudience, exclude: Sequence[str]) -> ChosenAudience:
        found = self._found({f"exclude[{place}]": id_ for place, id_ in enumerate(exclude[:MAX_AUDIENCES])})
        new = tuple((path, one.audience) for path, one in found.items() if one not in goes.excluded)
        return replace(goes, excluded=tuple(found.values()), used=(*goes.used, *new))


def _named(draft: Draft) -> dict[str, str]:
    """The ids that the draft names, by their paths."""
    if draft.audience:
        return {"audience": draft.audience}
    whole = {f"audiences[{place}]": id_ for place, id_ in enumerate(draft.audiences[:MAX_AUDIENCES])}
    return whole | {f"segments[{place}]": id_ for place, id_ in enumerate(draft.segments[:MAX_AUDIENCES])}


def _known_of_all(db: Db, lists: Sequence[ListChoice]) -> Known:
    """The names that every contact of all these audiences has."""
    known = [audiences.known(db, one.audience) for one in lists]
    if len(lists) == 1 and not lists[0].only:
        return known[0]
    return Known(frozenset.intersection(*(one.variables for one in known)), known[0].example)


def ids_of(choices: Sequence[ListChoice]) -> tuple[list[str], list[str]]:
    """Returns (the ids of whole audiences, the ids of segments)."""
    whole = [str(one.audience) for one in choices if one.segment is None]
    return whole, [str(one.segment) for one in choices if one.segment]
