"""Change a schedule: edit, pause, resume, skip once, archive, run now. Used by the API, the pages and pausing.py.

A change and the planning of the same schedule exclude each other: both are conditional on the version and on
`decided_through` that they read, in one transaction with what they insert.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from mailroom.domain import planning
from mailroom.domain.drafts import Draft
from mailroom.domain.errors import (
    RuleNotComputable,
    ScheduleEnded,
    ScheduleNotActive,
    ScheduleNotPaused,
    SchedulePaused,
    StaleEdit,
)
from mailroom.domain.ids import ScheduleId, asked_run_id, schedule_lane
from mailroom.domain.planning import SkipReason
from mailroom.domain.recurrence.comparing import is_same
from mailroom.domain.recurrence.model import Recurrence, RuleRefused
from mailroom.domain.recurrence.upcoming import next_after
from mailroom.domain.runs import Run, RunKind
from mailroom.domain.schedules import Revision, Schedule, ScheduleState
from mailroom.services import drafting, running
from mailroom.services.deciding import decide_all_due, moved_on, planned_run, runs_for
from mailroom.services.drafting import Goes, Origin
from mailroom.services.idempotency import check_key
from mailroom.services.scheduling import StoredSchedule, content_of, get
from mailroom.services.telling import tell_left_over
from mailroom.storage import contents, holds, lanes, runs, schedules
from mailroom.storage.database import Db, Session, in_transaction, server_now

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
    _check_version(before, seen_version)
    now = server_now(db)
    as_stored = _as_draft(stored)
    if "misfire" in changes:
        changes = {**changes, "misfire": {**as_stored.misfire, **changes["misfire"]}}
    changes = _differing(stored, as_stored, changes)
    if not changes:
        return stored
    own = None if "recipients" in changes else Goes(stored.content.audience, stored.content.recipients, Origin.OWN)
    rule = None if "recurrence" in changes else before.recurrence
    checked, audience = drafting.check(db, replace(as_stored, **changes), now=now, rule=rule, own=own)
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

    return StoredSchedule(_change(db, before, change, now, also=also), content)


def pause(db: Db, schedule_id: ScheduleId, *, by: str = "", seen_version: int | None = None) -> Schedule:
    """Until `resume`, no instant from now on runs, and nothing more of its open runs is claimed. A finished schedule
    that still has an open run can be paused too. Raises ScheduleNotFound, ScheduleNotActive, StaleEdit."""
    schedule = schedules.get(db, schedule_id)
    _check_version(schedule, seen_version)
    at_its_end = schedule.state is ScheduleState.FINISHED and runs.open_of(db, [schedule_id])
    if schedule.state is not ScheduleState.ACTIVE and not at_its_end:
        raise ScheduleNotActive(f"only an active schedule can be paused; this one is {schedule.state}")
    now = server_now(db)

    def hold_runs(session: Session, _after: Schedule) -> None:
        held = runs.open_of(db, [schedule_id], session=session)
        lanes.collide(db, [schedule_lane(schedule_id)], session)
        holds.put_on_runs(db, held, with_schedule=True, by=by, now=now, session=session)
        runs.mark_paused(db, held, by=by, now=now, session=session)

    return _change(db, schedule, lambda s: replace(s, state=ScheduleState.PAUSED, paused_at=now), now, also=hold_runs)


def resume(db: Db, schedule_id: ScheduleId, *, by: str = "", seen_version: int | None = None) -> Schedule:
    """Go on from now, and with the runs that were paused with it. One record says that the instants of the pause were
    skipped.

    Raises ScheduleNotFound, ScheduleNotPaused, RuleNotComputable, StaleEdit.
    """
    schedule = schedules.get(db, schedule_id)
    _check_version(schedule, seen_version)
    if schedule.state is not ScheduleState.PAUSED:
        raise ScheduleNotPaused(f"only a paused schedule can be resumed; this one is {schedule.state}")
    now = server_now(db)
    try:
        decisions = planning.skip_through(schedule, now, SkipReason.PAUSED)
    except RuleRefused as error:
        raise RuleNotComputable(str(error)) from None
    history = contents.histories(db, [schedule_id])[schedule_id]
    records = list(runs_for(schedule, decisions, history, now))
    state = ScheduleState.ACTIVE if decisions.next_run_at else ScheduleState.FINISHED
    after = replace(moved_on(schedule, decisions), state=state, paused_at=None, set_aside="")

    def lift_holds(session: Session, _after: Schedule) -> None:
        paused = holds.with_schedule(db, list(runs.open_of(db, [schedule_id], session=session)), session=session)
        holds.lift_from_runs(db, paused, by=by, now=now, session=session)
        runs.mark_resumed(db, paused, session=session)

    return _store_change(db, schedule, after, records, now, also=lift_holds)


def skip_next(db: Db, schedule_id: ScheduleId, *, seen_version: int | None = None) -> tuple[Schedule, Run]:
    """Record that the next due instant does not run. Raises ScheduleNotFound, ScheduleNotActive, StaleEdit."""
    schedule = schedules.get(db, schedule_id)
    _check_version(schedule, seen_version)
    now = server_now(db)
    history = contents.histories(db, [schedule_id])[schedule_id]
    try:
        settled, due = decide_all_due(schedule, history, now)
    except RuleRefused as error:
        raise RuleNotComputable(str(error)) from None
    if settled.state is not ScheduleState.ACTIVE or settled.next_run_at is None:
        raise ScheduleNotActive(f"only an active schedule has a next run; this one is {schedule.state}")
    decisions = planning.skip_through(settled, settled.next_run_at, SkipReason.ASKED)
    records = list(runs_for(settled, decisions, history, now))
    after = moved_on(settled, decisions)
    if after.next_run_at is None:
        after = replace(after, state=ScheduleState.FINISHED)
    return _store_change(db, schedule, after, [*due, *records], now), records[0]


def archive(db: Db, schedule_id: ScheduleId, *, seen_version: int | None = None) -> Schedule:
    """Put a schedule away: it plans nothing any more and leaves the list. Mails of its open runs that have not gone out
    are cancelled; its runs and reports stay.

    Archiving again changes nothing. Raises ScheduleNotFound, StaleEdit.
    """
    schedule = schedules.get(db, schedule_id)
    now = server_now(db)

    def cancel_runs(session: Session, _after: Schedule) -> None:
        for run_id in runs.open_of(db, [schedule_id], session=session):
            running.cancel_within(db, run_id, now=now, session=session)

    if schedule.state is ScheduleState.ARCHIVED:
        # An earlier version of Mailroom left the runs of an archived schedule going.
        in_transaction(db, lambda session: cancel_runs(session, schedule))
    else:
        _check_version(schedule, seen_version)
        gone = {"state": ScheduleState.ARCHIVED, "next_run_at": None}
        schedule = _change(db, schedule, lambda s: replace(s, **gone), now, also=cancel_runs)  # type: ignore[arg-type]
    tell_left_over(db)
    return schedule


def run_now(db: Db, schedule_id: ScheduleId, *, owner: str, key: str, even_if_paused: bool = False) -> tuple[Run, bool]:
    """A run of the newest content, beside the recurrence. The same key again finds the same run.

    Returns it, and whether it is new. Raises ScheduleNotFound, ScheduleEnded, SchedulePaused, InvalidInput.
    """
    check_key(key)
    run_id = asked_run_id(schedule_id, owner, key)
    for _ in range(_TRIES):
        schedule = schedules.get(db, schedule_id)
        if earlier := runs.find(db, run_id):
            return earlier, False
        require_runnable(schedule, even_if_paused=even_if_paused)
        now = server_now(db)
        content = contents.get(db, schedule_id, schedule.revision)
        newest = Revision(schedule.revision, now, content.audience, content.recipients)
        run = planned_run(run_id, schedule_id, RunKind.ASKED, newest, due_at=now, now=now)
        if add_asked(db, schedule, run):
            return run, True
    raise StaleEdit(f"schedule {schedule_id} is being changed; try again")


def require_runnable(schedule: Schedule, *, even_if_paused: bool) -> None:
    """Raises ScheduleEnded, SchedulePaused."""
    if schedule.state is ScheduleState.ARCHIVED:
        raise ScheduleEnded("an archived schedule is not run any more")
    if schedule.state is ScheduleState.PAUSED and not even_if_paused:
        raise SchedulePaused(schedule.id)


def add_asked(db: Db, seen: Schedule, run: Run) -> bool:
    """Add a run that a person asks for. False if it is stored already, or the schedule is not in the state that was
    seen: a pause in the same moment either keeps the run out or holds it too."""

    def work(session: Session) -> bool:
        return schedules.still_in(db, seen, session=session) and runs.add_once(db, run, session=session)

    return in_transaction(db, work)


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


def _change(
    db: Db,
    before: Schedule,
    change: Callable[[Schedule], Schedule],
    now: datetime,
    *,
    also: Callable[[Session, Schedule], None] | None = None,
) -> Schedule:
    """Decide what is due until now by the old rule, then change the schedule, in one transaction.

    Pausing and archiving never compute the rule. Instants that are due and not planned are skipped: of a pause when it
    is resumed, of an archived schedule here.
    """
    history = contents.histories(db, [before.id])[before.id]
    settled, decided = _settled(before, history, now, wanted=change(before))
    after = change(settled)
    if after.state is ScheduleState.ACTIVE and after.next_run_at is None:
        after = replace(after, state=ScheduleState.FINISHED)
    return _store_change(db, before, after, decided, now, also=also)


def _settled(
    before: Schedule, history: Sequence[Revision], now: datetime, *, wanted: Schedule
) -> tuple[Schedule, list[Run]]:
    """The schedule with its due instants decided as far as the `wanted` change needs it, and their runs and records."""
    if wanted.state is ScheduleState.ARCHIVED:
        decisions = planning.skip_unasked(before, now, SkipReason.ARCHIVED)
    elif wanted.state is ScheduleState.PAUSED and before.state is not ScheduleState.PAUSED:
        return before, []
    else:
        try:
            if before.state is not ScheduleState.PAUSED:
                return decide_all_due(before, history, now)
            decisions = planning.skip_through(before, now, SkipReason.PAUSED)
        except RuleRefused:
            if wanted.recurrence == before.recurrence:
                return before, []  # planning sets it aside
            decisions = planning.skip_unasked(before, now, SkipReason.SET_ASIDE)
    return moved_on(before, decisions), list(runs_for(before, decisions, history, now))


def _store_change(
    db: Db,
    before: Schedule,
    after: Schedule,
    decided: Sequence[Run],
    now: datetime,
    *,
    also: Callable[[Session, Schedule], None] | None = None,
) -> Schedule:
    after = replace(after, version=before.version + 1, updated_at=now)

    def store(session: Session) -> None:
        schedules.replace(db, after, seen=before, session=session)
        runs.add_many(db, decided, session=session)
        if also:
            also(session, after)

    in_transaction(db, store)
    return after


def _check_version(schedule: Schedule, seen: int | None) -> None:
    if seen is not None and seen != schedule.version:
        raise StaleEdit(f"schedule {schedule.id} is at version {schedule.version}, not {seen}")
