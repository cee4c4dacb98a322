"""The report of a schedule: by run, over time, with plots."""

from flask import Blueprint, render_template

from mailroom.domain.ids import ScheduleId
from mailroom.services.reports import counts as report_counts
from mailroom.services.schedules import view as schedule_view
from web import zones
from web.plots import opens_by_hour, paired_bars
from web.session import principal, services, signed_in

blueprint = Blueprint("reports", __name__)
_PLOTTED = 24


@blueprint.get("/schedules/<schedule_id>/report")
@signed_in()
def show(schedule_id: str) -> str:
    db = services().db
    services().limits.check_report(principal())
    schedule = schedule_view.get(db, ScheduleId(schedule_id)).schedule
    report = report_counts.schedule_report(db, schedule.id)
    zone = schedule.recurrence.zone
    zones.show_in(zone)
    newest = report.runs[-_PLOTTED:]
    labels = [f"{run.due_at.astimezone(zone):%d %b %H:%M}" for run, _ in newest]
    by_run = paired_bars(
        labels,
        [("delivered", [counts.delivered for _, counts in newest]), ("opened", [c.unique_opens for _, c in newest])],
    )
    hours = report.opens_by_hour[-_PLOTTED:]
    over_time = opens_by_hour(hours, zone)
    return render_template("report.html", schedule=schedule, report=report, by_run=by_run, over_time=over_time)
