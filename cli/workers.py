"""`mailroom workers`: the processes that work here."""

from typing import Any

import click

from cli.answers import Body, answer_plainly
from cli.command_table import Answering
from cli.common import services
from cli.tables import Columns, print_rows
from mailroom.services.operations import workers
from mailroom.services.operations.workers import WorkerView
from scheduler_api.schemas.workers import WorkerOut, worker

_AT_ONCE = 500


@click.command("workers", cls=Answering)
def workers_() -> None:
    """The processes that work here, and which are silent.

    Senders, API and pages; all of them, with the fields of GET /v1/workers.
    """
    found = _every()
    quiet = {view.worker.id: f"{view.quiet_for.total_seconds():.0f} s ago" for view in found}

    def last_check_in(shown: Any) -> str:
        return f"{quiet[shown['id']]}{', silent' if shown['silent'] else ''}"

    def show(body: Body) -> None:
        who: Columns = {name: name for name in ("id", "kind", "host", "address")}
        process: Columns = {"pid": lambda one: one["pid"] and str(one["pid"]), "version": "version", "since": "since"}
        counts: Columns = {"check-ins": "check_ins", "lanes": "lanes_count", "in flight": "in_flight"}
        print_rows(body["items"], {**who, **process, "last check-in": last_check_in, **counts})

    answer_plainly({"items": [WorkerOut().dump(worker(view)) for view in found]}, show)


def _every() -> list[WorkerView]:
    db = services().db
    found = page = workers.page(db, after="", limit=_AT_ONCE)
    while len(page) == _AT_ONCE:
        page = workers.page(db, after=page[-1].worker.id, limit=_AT_ONCE)
        found = [*found, *page]
    return found
