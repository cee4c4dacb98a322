"""From decisions about due instants to the run documents that record them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from mailroom.domain import misfire
from mailroom.domain.beginnings import Spread, first_look
from mailroom.domain.errors import PlanningBehind
from mailroom.domain.ids import RunId, ScheduleId, due_run_id
from mailroom.domain.misfire import Decisions, Skipped
from mailroom.domain.recipient_times import RecipientTime
from mailroom.domain.runs import Run, RunKind, RunState
from mailroom.domain.schedules import Revision, Schedule, ScheduleState, in_force

MOST_STEPS: Final = 50  # of `misfire.STEP` instants each; senders work off a longer backlog


def decide_all_due(
    schedule: Schedule, history: Sequence[Revision], spread: Spread, now: datetime
) -> tuple[Schedule, list[Run]]:
    """Decide every due instant up to `now`. Returns (the schedule moved on, the runs and records of the decisions).
    `spread`: as for `misfire.decide`.

    For edits: no instant that was due under the old rule may be lost with the new rule. Raises RuleRefused; raises
    PlanningBehind if too many instants are due.
    """
    runs: list[Run] = []
    if schedule.state is ScheduleState.ACTIVE:
        steps = 0
        while decisions := misfire.decide(schedule, now, spread=spread):
            steps += 1
            if steps > MOST_STEPS:
                raise PlanningBehind(
                    f"more than {MOST_STEPS * misfire.STEP:,} of its instants are due and not planned yet; "
                    "wait for them, or pause it first: then they are skipped"
                )
            runs += runs_for(schedule, decisions, history, now)
            schedule = moved_on(schedule, decisions)
    return schedule, runs


def moved_on(schedule: Schedule, decisions: Decisions) -> Schedule:
    return replace(
        schedule,
        decided=decisions.decided,
        decided_through=decisions.decided_through,
        next_run_at=decisions.next_run_at,
        look_at=first_look(schedule, decisions.next_run_at, since=schedule.look_at),
    )


def runs_for(schedule: Schedule, decisions: Decisions, history: Sequence[Revision], now: datetime) -> Iterator[Run]:
    """A run for each due instant, a record for each skipped range."""
    for due_at in decisions.due:
        own = decisions.recipient_times.get(due_at)
        yield _run(schedule, in_force(history, own.starts_at if own else due_at), due_at, now, own)
    for skipped in decisions.skipped:
        yield _record(schedule, in_force(history, skipped.first), skipped, now)


def planned_run(
    run_id: RunId,
    schedule_id: ScheduleId,
    kind: RunKind,
    revision: Revision,
    *,
    due_at: datetime,
    now: datetime,
    source: Run | None = None,
    groups: int | None = None,
) -> Run:
    """A run in planning, of this revision of the content; its messages are still to be written."""
    return Run(
        id=run_id,
        schedule_id=schedule_id,
        kind=kind,
        state=RunState.PLANNING,
        due_at=due_at,
        revision=revision.number,
        audience=revision.audience,
        recipients=revision.recipients,
        created_at=now,
        source=source.id if source else None,
        groups=groups,
        selection=revision.selection,
        awaits_feed=now if revision.has_feed else None,
        template=revision.template,
    )


def _run(
    schedule: Schedule, revision: Revision, due_at: datetime, now: datetime, own: RecipientTime | None = None
) -> Run:
    run_id = due_run_id(schedule.id, due_at)
    run = planned_run(run_id, schedule.id, RunKind.DUE, revision, due_at=due_at, now=now)
    return replace(run, recipient_time=own)


def _record(schedule: Schedule, revision: Revision, skipped: Skipped, now: datetime) -> Run:
    return replace(
        _run(schedule, revision, skipped.first, now),
        state=RunState.SKIPPED,
        reason=skipped.reason,
        due_through=skipped.last,
        instants=skipped.instants,
        awaits_feed=None,
    )
