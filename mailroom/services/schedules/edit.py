"""Edit a schedule: the fields of its draft, its content, its audience, its rule."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from mailroom.domain.drafts import Draft, DraftChanges
from mailroom.domain.errors import (
    ScheduleEnded,
    StaleEdit,
)
from mailroom.domain.feeds.checking import fields_of
from mailroom.domain.ids import ScheduleId
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.comparing import is_same
from mailroom.domain.recurrence.model import Recurrence
from mailroom.domain.recurrence.upcoming import next_after
from mailroom.domain.schedules import Content, Schedule, ScheduleState, ScheduleTrigger
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules.change import change_schedule, check_version
from mailroom.services.schedules.create import content_of
from mailroom.services.schedules.drafts import ChosenAudience, Origin, ids_of
from mailroom.services.schedules.view import StoredSchedule, get
from mailroom.storage.database import Db, Session, server_now
from mailroom.storage.schedules import contents

_TRIES: Final = 5
# Compared as they are.
_PLAIN: Final = (
    *("name", "sender", "reply_to", "subject", "tags", "misfire"),
    *("text", "html", "markdown", "preheader", "inline_css", "headers"),
    *("delivery", "default_time_zone"),
)


def edit(db: Db, schedule_id: ScheduleId, changes: DraftChanges, *, seen_version: int | None) -> StoredSchedule:
    """Change the named fields of a Draft. New content holds for due instants from now on; instants due before are
    decided by the old rule first. Fields equal to the stored ones change nothing; an equal recurrence goes on without
    a new start. Without `seen_version`, planning that moves the schedule on meanwhile is no conflict.

    Raises ScheduleNotFound, ScheduleEnded, PlanningBehind, StaleEdit, InvalidInput.
    """
    for _ in range(_TRIES if seen_version is None else 1):
        try:
            return _edit(db, schedule_id, changes, seen_version=seen_version)
        except StaleEdit as error:
            refused = error
    raise refused


def _edit(db: Db, schedule_id: ScheduleId, changes: DraftChanges, *, seen_version: int | None) -> StoredSchedule:
    stored = get(db, schedule_id)
    before = stored.schedule
    if before.state is ScheduleState.ARCHIVED:
        raise ScheduleEnded("an archived schedule is not changed any more")
    check_version(before, seen_version)
    now = server_now(db)
    as_stored = _as_draft(stored)
    if "misfire" in changes:
        changes = {**changes, "misfire": {**as_stored.misfire, **changes["misfire"]}}
    if changes.get("delivery") == DeliveryTime.SCHEDULE_TIME and before.default_time_zone:
        changes = {"default_time_zone": "", **changes}  # it was for the other delivery only
    changes = _differing(stored, as_stored, changes)
    if not changes:
        return stored
    own = None if "recipients" in changes else _own(stored.content)
    rule = None if "recurrence" in changes else before.recurrence
    checked, audience = schedule_drafts.check(db, replace(as_stored, **changes), now=now, rule=rule, own=own)
    content = content_of(checked, audience)
    as_before = (before.name, before.misfire, before.delivery, before.default_time_zone, stored.content)
    if rule and (checked.name, checked.misfire, checked.delivery, checked.default_time_zone, content) == as_before:
        return stored

    def change(schedule: Schedule) -> Schedule:
        revision = schedule.revision + (content != stored.content)
        schedule = replace(schedule, name=checked.name, misfire=checked.misfire, revision=revision)
        schedule = replace(schedule, delivery=checked.delivery, default_time_zone=checked.default_time_zone)
        return _with_rule(schedule, checked.recurrence, now) if "recurrence" in changes else schedule

    def also(session: Session, after: Schedule) -> None:
        audience.take(db, session)
        if after.revision != before.revision:
            contents.add(db, schedule_id, after.revision, content, valid_from=now, session=session)

    revived = "recurrence" in changes and before.state is ScheduleState.FINISHED
    trigger = ScheduleTrigger.GIVEN_A_RULE if revived else None
    return StoredSchedule(change_schedule(db, before, change, now, trigger=trigger, also=also), content)


def _as_draft(stored: StoredSchedule) -> Draft:
    """The stored texts as a draft; rule and recipients stay out: they are kept or replaced as a whole."""
    schedule, content = stored.schedule, stored.content
    written = content.as_written
    return Draft(
        name=schedule.name,
        sender=content.sender,
        reply_to=content.reply_to,
        subject=content.subject,
        text=written.text,
        html=written.html,
        markdown=written.markdown,
        preheader=written.preheader,
        inline_css=written.inline_css,
        headers=dict(content.headers),
        tags=content.tags,
        topic=content.topic or None,
        feed=fields_of(content.feed) if content.feed else None,
        recurrence=None,
        misfire={"policy": schedule.misfire.policy, "grace_s": schedule.misfire.grace_s},
        delivery=schedule.delivery,
        default_time_zone=schedule.default_time_zone,
    )


def _differing(stored: StoredSchedule, as_stored: Draft, changes: DraftChanges) -> DraftChanges:
    """The changes that differ from what is stored. `recipients` always count as a change, even an empty list."""
    different = changes.copy()
    if "recurrence" in changes and is_same(stored.schedule.recurrence, changes["recurrence"]):
        del different["recurrence"]
    _leave_stored_choice(different, stored.content)
    # A text that was made, given back as it is shown, is to be made again.
    if as_stored.text is None and changes.get("text") == stored.content.text:
        del different["text"]
    # A topic stays a change: it may have another footer since.
    if "topic" in changes and not (changes["topic"] or stored.content.topic):
        del different["topic"]
    for name in _PLAIN:
        if name in different and _plain(different[name]) == _plain(getattr(as_stored, name)):
            del different[name]
    return different


def _leave_stored_choice(changes: DraftChanges, content: Content) -> None:
    """Take out of the changes who the schedule goes to, where that is as stored."""
    whole, segments = ids_of(content.goes_to)
    named = (list(changes.get("audiences", whole)), list(changes.get("segments", segments)))
    several = changes.keys() & {"audiences", "segments"}
    if several and named in (([], []), (whole, segments)):
        for name in ("audiences", "segments"):
            changes.pop(name, None)  # type: ignore[misc]
    if changes.get("audience") == content.audience and (several or not content.lists):
        del changes["audience"]
    if "exclude" in changes and list(changes["exclude"]) == [one.segment or one.audience for one in content.excluded]:
        del changes["exclude"]


def _own(content: Content) -> ChosenAudience:
    """The audience that the schedule has already."""
    return ChosenAudience(
        content.audience, content.recipients, Origin.OWN, lists=content.lists, excluded=content.excluded
    )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _with_rule(schedule: Schedule, rule: Recurrence, now: datetime) -> Schedule:
    """The schedule under a new rule: max_runs counts anew."""
    # From now, even where a skipped instant of the old rule lies ahead: its record keeps it from running.
    fresh = replace(schedule, recurrence=rule, rule_since=now, decided=0, decided_through=now, set_aside="")
    return replace(fresh, next_run_at=next_after(rule, now))
