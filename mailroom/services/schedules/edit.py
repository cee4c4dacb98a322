"""Edit a schedule: the fields of its draft, its content, its audience, its rule."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from mailroom.domain.drafts import Draft
from mailroom.domain.errors import (
    ScheduleEnded,
    StaleEdit,
)
from mailroom.domain.ids import ScheduleId
from mailroom.domain.recurrence.comparing import is_same
from mailroom.domain.recurrence.model import Recurrence
from mailroom.domain.recurrence.upcoming import next_after
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules.change import change_schedule, check_version
from mailroom.services.schedules.create import content_of
from mailroom.services.schedules.drafts import ChosenAudience, Origin
from mailroom.services.schedules.view import StoredSchedule, get
from mailroom.storage.database import Db, Session, server_now
from mailroom.storage.schedules import contents

_TRIES: Final = 5


def edit(db: Db, schedule_id: ScheduleId, changes: Mapping[str, Any], *, seen_version: int | None) -> StoredSchedule:
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


def _edit(db: Db, schedule_id: ScheduleId, changes: Mapping[str, Any], *, seen_version: int | None) -> StoredSchedule:
    stored = get(db, schedule_id)
    before = stored.schedule
    if before.state is ScheduleState.ARCHIVED:
        raise ScheduleEnded("an archived schedule is not changed any more")
    check_version(before, seen_version)
    now = server_now(db)
    as_stored = _as_draft(stored)
    if "misfire" in changes:
        changes = {**changes, "misfire": {**as_stored.misfire, **changes["misfire"]}}
    changes = _differing(stored, as_stored, changes)
    if not changes:
        return stored
    own = (
        None
        if "recipients" in changes
        else ChosenAudience(stored.content.audience, stored.content.recipients, Origin.OWN)
    )
    rule = None if "recurrence" in changes else before.recurrence
    checked, audience = schedule_drafts.check(db, replace(as_stored, **changes), now=now, rule=rule, own=own)
    content = content_of(checked, audience)
    if rule and (checked.name, checked.misfire, content) == (before.name, before.misfire, stored.content):
        return stored

    def change(schedule: Schedule) -> Schedule:
        revision = schedule.revision + (content != stored.content)
        schedule = replace(schedule, name=checked.name, misfire=checked.misfire, revision=revision)
        return _with_rule(schedule, checked.recurrence, now) if "recurrence" in changes else schedule

    def also(session: Session, after: Schedule) -> None:
        audience.take(db, session)
        if after.revision != before.revision:
            contents.add(db, schedule_id, after.revision, content, valid_from=now, session=session)

    return StoredSchedule(change_schedule(db, before, change, now, also=also), content)


def _as_draft(stored: StoredSchedule) -> Draft:
    """The stored texts as a draft; rule and recipients stay out: they are kept or replaced as a whole."""
    schedule, content = stored.schedule, stored.content
    return Draft(
        name=schedule.name,
        sender=content.sender,
        reply_to=content.reply_to,
        subject=content.subject,
        text=content.text,
        html=content.html,
        tags=content.tags,
        recurrence={},
        misfire={"policy": schedule.misfire.policy, "grace_s": schedule.misfire.grace_s},
    )


def _differing(stored: StoredSchedule, as_stored: Draft, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes that differ from what is stored. `recipients` always count as a change, even an empty list."""
    found = dict(changes)
    if "recurrence" in found and is_same(stored.schedule.recurrence, found["recurrence"]):
        del found["recurrence"]
    if found.get("audience") == stored.content.audience:
        del found["audience"]
    for name in found.keys() - {"recurrence", "audience", "recipients"}:
        if _plain(found[name]) == _plain(getattr(as_stored, name)):
            del found[name]
    return found


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _with_rule(schedule: Schedule, rule: Recurrence, now: datetime) -> Schedule:
    """The schedule under a new rule: max_runs counts anew, and a finished one comes to life again."""
    upcoming = next_after(rule, now)
    state = schedule.state if schedule.state is ScheduleState.PAUSED else ScheduleState.ACTIVE
    # From now, even where a skipped instant of the old rule lies ahead: its record keeps it from running.
    fresh = replace(schedule, recurrence=rule, rule_since=now, decided=0, decided_through=now, set_aside="")
    return replace(fresh, state=state, next_run_at=upcoming)
