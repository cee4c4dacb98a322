"""Reports: the counts of runs and schedules, and how they went over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.reports import Report
from mailroom.domain.runs import Run, RunState
from mailroom.storage import events, kept_counts
from mailroom.storage.database import Db, Session, in_snapshot
from mailroom.storage.dispatches import counts as dispatch_counts
from mailroom.storage.messages import counts as message_counts
from mailroom.storage.schedules import runs, schedules

RUNS_IN_A_REPORT: Final = 50


@dataclass(frozen=True, slots=True)
class ScheduleReport:
    """The newest runs of a schedule, oldest first, each with its counts; their sum; first opens by hour."""

    runs: list[tuple[Run, Report]]
    total: Report
    opens_by_hour: list[tuple[datetime, int]]


@dataclass(frozen=True, slots=True)
class _Counts:
    """The counts that are kept of ended runs, those of them that still stand, and those that were counted now."""

    kept: Mapping[RunId, kept_counts.KeptCount]
    standing: Mapping[RunId, Report]
    counted: Mapping[RunId, Report]


def run_report(db: Db, run_id: RunId) -> tuple[Run, Report]:
    """A run's counts at this moment. Raises RunNotFound."""
    run = runs.get(db, run_id)
    return run, reports_of(db, [run])[run_id]


def reports_of(db: Db, some_runs: Sequence[Run]) -> dict[RunId, Report]:
    """The counts of these runs; kept counts are used for runs that have ended and have not changed since. The
    recipients of a run in planning are those that it will have, or those planned so far where that is not known."""

    def read(session: Session) -> _Counts:
        kept = kept_counts.find(db, [run.id for run in some_runs if run.ended], session=session)
        standing = {run: of.report for run, of in kept.items() if of.report is not None}
        missing = [run.id for run in some_runs if run.id not in standing]
        return _Counts(kept, standing, _count(db, missing, session) if missing else {})

    counts = in_snapshot(db, read)
    fresh = counts.kept.keys() & counts.counted.keys()
    kept_counts.keep(db, {run: (counts.kept[run], kept_counts.fields_of(counts.counted[run])) for run in fresh})
    reports = {**counts.standing, **counts.counted}
    return {run.id: _with_recipients(run, reports[run.id]) for run in some_runs}


def schedule_report(db: Db, schedule_id: ScheduleId) -> ScheduleReport:
    """Raises ScheduleNotFound."""
    schedules.get(db, schedule_id)
    newest = runs.page(db, schedule_id=schedule_id, before=None, limit=RUNS_IN_A_REPORT)
    went = [run for run in reversed(newest) if run.state is not RunState.SKIPPED]
    counts = reports_of(db, went)
    total = sum((counts[run.id] for run in went), Report())
    return ScheduleReport(
        runs=[(run, counts[run.id]) for run in went],
        total=total,
        opens_by_hour=message_counts.opens_by_hour(db, [run.id for run in went]),
    )


def opens_of_run(db: Db, run_id: RunId) -> list[tuple[datetime, int]]:
    """First opens of one run by hour."""
    return message_counts.opens_by_hour(db, [run_id])


def audit(db: Db, run_id: RunId) -> tuple[dict[str, int], dict[str, int]]:
    """The counts that come from events, as the report has them and counted again from the raw events: of one moment."""

    def read(session: Session) -> tuple[dict[str, int], dict[str, int]]:
        recounted = events.recount(db, run_id, session)
        report = message_counts.report(db, [run_id], session)[run_id]
        return {name: getattr(report, name) for name in recounted}, recounted

    return in_snapshot(db, read)


def _count(db: Db, ids: Sequence[RunId], session: Session) -> dict[RunId, Report]:
    """The counts of these runs at the moment of the snapshot."""
    reports = message_counts.report(db, ids, session)
    unmeasured = dispatch_counts.bounces_unmeasured(db, [run for run in ids if reports[run].sent], session)
    return {run: replace(report, bounces_unmeasured=unmeasured.get(run, 0)) for run, report in reports.items()}


def _with_recipients(run: Run, report: Report) -> Report:
    planned = run.state is not RunState.PLANNING and not run.unwritten
    return report if planned or run.recipients_known is None else replace(report, recipients=run.recipients)
