"""Edit a schedule: the fields of its draft, its content, its audience, its rule."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from mailroom.domain.draft_checks import Checked
from mailroom.domain.drafts import Draft, DraftChanges
from mailroom.domain.errors import Fault, InvalidInput, ScheduleEnded, StaleEdit
from mailroom.domain.feeds.checking import fields_of
from mailroom.domain.ids import ScheduleId
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.comparing import is_same
from mailroom.domain.recurrence.model import Recurrence
from mailroom.domain.recurrence.upcoming import next_after
from mailroom.domain.schedules import Content, Schedule, ScheduleState, ScheduleTrigger
from mailroom.domain.templates import Template
from mailroom.services.mails import templates
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules.change import change_schedule, check_version
from mailroom.services.schedules.create import content_of
from mailroom.services.schedules.drafts import ChosenAudience, Origin, Stays, ids_of
from mailroom.services.schedules.view import StoredSchedule, get
from mailroom.storage.database import Db, Session, server_now
from mailroom.storage.schedules import attachments, contents

_TRIES: Final = 5
# Compared as they are.
_PLAIN: Final = (
    *("name", "sender", "reply_to", "subject", "tags", "misfire"),
    *("text", "html", "markdown", "mjml", "preheader", "inline_css", "headers"),
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
    as_stored = _as_draft(stored, changes)
    if "misfire" in changes:
        changes = {**changes, "misfire": {**as_stored.misfire, **changes["misfire"]}}
    if changes.get("delivery") == DeliveryTime.SCHEDULE_TIME and before.default_time_zone:
        changes = {"default_time_zone": "", **changes}  # it was for the other delivery only
    changes = _differing(stored, as_stored, changes)
    if not changes:
        return stored
    checked, audience = _checked(db, stored, as_stored, changes, now)
    content = content_of(checked, audience)
    as_before = (before.name, before.misfire, before.delivery, before.default_time_zone, stored.content)
    as_changed = (checked.name, checked.misfire, checked.delivery, checked.default_time_zone, content)
    if "recurrence" not in changes and as_changed == as_before:
        return stored

    def change(schedule: Schedule) -> Schedule:
        revision = schedule.revision + (content != stored.content)
        schedule = replace(schedule, name=checked.name, misfire=checked.misfire, revision=revision)
        schedule = replace(schedule, delivery=checked.delivery, default_time_zone=checked.default_time_zone)
        return _with_rule(schedule, checked.recurrence, now) if "recurrence" in changes else schedule

    def also(session: Session, after: Schedule) -> None:
        audience.take(db, session)
        attachments.keep(db, {file.digest for file in content.files}, session=session)
        if after.revision != before.revision:
            contents.add(db, schedule_id, after.revision, content, valid_from=now, session=session)

    revived = "recurrence" in changes and before.state is ScheduleState.FINISHED
    trigger = ScheduleTrigger.GIVEN_A_RULE if revived else None
    return StoredSchedule(change_schedule(db, before, change, now, trigger=trigger, also=also), content)


def _checked(
    db: Db, stored: StoredSchedule, as_stored: Draft, changes: DraftChanges, now: datetime
) -> tuple[Checked, ChosenAudience]:
    """The changed draft in the form to store. What the changes do not name stays: rule, audience, version of the
    template."""
    draft, stays = _changed(db, stored, as_stored, changes)
    return schedule_drafts.check(db, draft, now=now, stays=stays)


def _changed(db: Db, stored: StoredSchedule, as_stored: Draft, changes: DraftChanges) -> tuple[Draft, Stays]:
    """Returns (the changed draft, what the changes do not name, and so stays)."""
    own = None if "recipients" in changes else _own(stored.content)
    rule = None if "recurrence" in changes else stored.schedule.recurrence
    draft = replace(as_stored, **changes)
    template = _template_of(db, draft, stored.content.template, named="template" in changes)
    return draft, Stays(rule, own, template, stored.content.files)


def _template_of(db: Db, draft: Draft, pinned: PinnedTemplate | None, *, named: bool) -> Template | None:
    """The newest version of the schedule's own template if the edit names it, else the version that it has; None where
    another template is named, or none. A template that is removed has no newer version."""
    if pinned is None or draft.template != pinned.name:
        return None
    newest = templates.find(db, pinned.name) if named else None
    return newest or templates.get_version(db, pinned)


def _as_draft(stored: StoredSchedule, changes: DraftChanges) -> Draft:
    """The stored texts as a draft, without what a template says that is not given up. Rule and recipients stay out:
    they are kept or replaced as a whole."""
    schedule, content = stored.schedule, stored.content
    written = content.as_written
    named = content.template.name if content.template and not _gives_up_template(changes) else None
    if named:
        content = replace(content, subject="")
        written = replace(written, text="" if written.text == "" else None, html="")
    return Draft(
        name=schedule.name,
        sender=content.sender,
        reply_to=content.reply_to,
        subject=content.subject,
        text=written.text,
        html=written.html,
        markdown=written.markdown,
        mjml=written.mjml,
        preheader=written.preheader,
        inline_css=written.inline_css,
        headers=dict(content.headers),
        template=named,
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
    _leave_said_by_template(different, stored.content)
    # A topic stays a change: it may have another footer since. So does a template, which may have a newer version.
    if "topic" in changes and not (changes["topic"] or stored.content.topic):
        del different["topic"]
    if _gives_up_template(different) and stored.content.template is None:
        del different["template"]
    for name in _PLAIN:
        if name in different and _plain(different[name]) == _plain(getattr(as_stored, name)):
            del different[name]
    return different


def _leave_stored_choice(changes: DraftChanges, content: Content) -> None:
    """Take out of the changes who the schedule goes to, where that is as stored. Raises InvalidInput."""
    whole, segments = ids_of(content.goes_to)
    named = (list(changes.get("audiences", whole)), list(changes.get("segments", segments)))
    several = bool(changes.keys() & {"audiences", "segments"})
    as_stored = several and named == (whole, segments)
    elsewhere = changes.get("audience") or "recipients" in changes  # the list is named in another field
    if several and named == ([], []) and not elsewhere:
        raise InvalidInput(Fault("audiences", "name an audience or a segment: it would go to nobody"))
    if as_stored or named == ([], []):
        for name in ("audiences", "segments"):
            changes.pop(name, None)  # type: ignore[misc]
    if changes.get("audience") == content.audience and (as_stored or not content.lists):
        del changes["audience"]
    if "exclude" in changes and list(changes["exclude"]) == [one.segment or one.audience for one in content.excluded]:
        del changes["exclude"]


def _leave_said_by_template(changes: DraftChanges, content: Content) -> None:
    """Take out of the changes what the stored template says already, as it is shown, unless it is given up."""
    if content.template is None or _gives_up_template(changes):
        return
    for name, shown in (("subject", content.subject), ("text", content.text), ("html", content.as_written.html)):
        if changes.get(name) == shown:
            del changes[name]  # type: ignore[misc]


def _gives_up_template(changes: DraftChanges) -> bool:
    return "template" in changes and changes["template"] is None


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


def edited_draft(db: Db, stored: StoredSchedule, changes: DraftChanges) -> tuple[Draft, Stays]:
    """Returns (the schedule with these changes, as a draft without a rule; what stays)."""
    as_stored = _as_draft(stored, changes)
    changes = _differing(stored, as_stored, changes)
    changes.pop("recurrence", None)
    return _changed(db, stored, as_stored, changes)
