"""One change of a stored schedule: what is due is decided by the old rule first, in one transaction with the change.

A change and the planning of the same schedule exclude each other: both are conditional on the version and on
`decided_through` that they read, in one transaction with what they insert.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from mailroom.domain import misfire
from mailroom.domain.beginnings import Spread
from mailroom.domain.errors import StaleEdit
from mailroom.domain.misfire import SkipReason
from mailroom.domain.recurrence.model import RuleRefused
from mailroom.domain.runs import Run
from mailroom.domain.schedules import MOVES, Revision, Schedule, ScheduleState, ScheduleTrigger
from mailroom.services.planning.decisions import decide_all_due, moved_on, runs_for
from mailroom.services.planning.pins import pinned
from mailroom.services.planning.spreads import NOWHERE, spread_of
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.schedules import contents, runs, schedules


def change_schedule(
    db: Db,
    before: Schedule,
    change: Callable[[Schedule], Schedule],
    now: datetime,
    *,
    trigger: ScheduleTrigger | None = None,
    also: Callable[[Session, Schedule], None] | None = None,
) -> Schedule:
    """Decide what is due until now by the old rule, then change the schedule, in one transaction. The trigger moves its
    state; without one the state stays.

    Pausing and archiving never compute the rule. Instants that are due and not planned are skipped: of a pause when it
    is resumed, of an archived schedule here.
    """
    history = contents.histories(db, [before.id])[before.id]
    spread = NOWHERE if trigger in _UNASKED else spread_of(db, before, history)
    settled, decided = _settled(before, history, spread, now, trigger=trigger, wanted=change(before))
    after = change(settled)
    state = MOVES[trigger][1] if trigger else before.state
    if state is ScheduleState.ACTIVE and after.next_run_at is None:
        trigger = ScheduleTrigger.CAME_TO_END if before.state is ScheduleState.ACTIVE else None
    return store_change(db, before, after, decided, now, trigger=trigger, also=also)


_UNASKED: Final = frozenset({ScheduleTrigger.ARCHIVED, ScheduleTrigger.PAUSED})


def _settled(
    before: Schedule,
    history: Sequence[Revision],
    spread: Spread,
    now: datetime,
    *,
    trigger: ScheduleTrigger | None,
    wanted: Schedule,
) -> tuple[Schedule, list[Run]]:
    """The schedule with its due instants decided as far as the `wanted` change needs it, and their runs and records."""
    if trigger is ScheduleTrigger.ARCHIVED:
        decisions = misfire.skip_unasked(before, now, SkipReason.ARCHIVED)
    elif trigger is ScheduleTrigger.PAUSED:
        return before, []
    else:
        try:
            if before.state is not ScheduleState.PAUSED:
                return decide_all_due(before, history, spread, now)
            decisions = misfire.skip_through(before, now, SkipReason.PAUSED)
        except RuleRefused:
            if wanted.recurrence == before.recurrence:
                return before, []  # planning sets it aside
            decisions = misfire.skip_unasked(before, now, SkipReason.SET_ASIDE)
    return moved_on(before, decisions), list(runs_for(before, decisions, history, now))


def store_change(
    db: Db,
    before: Schedule,
    after: Schedule,
    decided: Sequence[Run],
    now: datetime,
    *,
    trigger: ScheduleTrigger | None = None,
    also: Callable[[Session, Schedule], None] | None = None,
) -> Schedule:
    """Store the changed schedule with what was decided for it, and `also`, in one transaction. The trigger moves its
    state; without one the state stays. Raises ScheduleNotFound, StaleEdit."""
    state = MOVES[trigger][1] if trigger else before.state
    after = replace(after, state=state, version=before.version + 1, updated_at=now)

    def store(session: Session) -> None:
        schedules.replace(db, after, seen=before, trigger=trigger, session=session)
        runs.add_many(db, pinned(db, decided, session=session), session=session)
        if also:
            also(session, after)

    in_transaction(db, store)
    return after


def check_version(schedule: Schedule, seen: int | None) -> None:
    if seen is not None and seen != schedule.version:
        raise StaleEdit(f"schedule {schedule.id} is at version {schedule.version}, not {seen}")
