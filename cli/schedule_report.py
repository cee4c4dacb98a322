"""`mailroom schedules report`: the counts of its newest runs, and their sum."""

from collections.abc import Mapping
from typing import Any, Final

import click

from cli.answers import Body, answer_plainly
from cli.command_table import Answering
from cli.common import services
from cli.tables import Columns, print_rows
from mailroom.domain.ids import ScheduleId
from mailroom.domain.reports import Report
from mailroom.services.reports import counts
from scheduler_api.schemas import reports as report_schemas
from scheduler_api.schemas import runs as schemas

_COUNTS: Final = ("recipients", "sent", "delivered", "unique_opens", "unique_clicks", "bounced", "failed", "unknown")


@click.command("report", cls=Answering)
@click.argument("schedule_id")
def report(schedule_id: str) -> None:
    """The counts of its newest runs, oldest first, and their sum."""
    found = counts.schedule_report(services().db, ScheduleId(schedule_id))
    runs = [schemas.RunOut().dump(schemas.run(run)) | {"report": _report(of)} for run, of in found.runs]
    answer_plainly({"schedule_id": schedule_id, "total": _report(found.total), "items": runs}, _show)


def _report(of: Report) -> dict[str, Any]:
    return dict(report_schemas.ReportOut().dump(report_schemas.report(of)))


def _show(body: Body) -> None:
    rows = [{"of": run["due_at"], **run["report"]} for run in body["items"]]
    total = {"of": "all of these", **body["total"]}
    columns: Columns = {name.replace("_", " "): name for name in _COUNTS}
    print_rows([*rows, total], {"run": "of", **columns, "bounced": bounces_in_words})


def bounces_in_words(counts: Mapping[str, Any]) -> object:
    """The bounces of a report in JSON. None known is no 0 where nobody would learn of one."""
    return "not measured" if counts["bounced"] is None else counts["bounced"]
