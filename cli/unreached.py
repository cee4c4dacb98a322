"""`mailroom runs unreached`: recipients that a run did not reach."""

from typing import Any

import click

from cli.answers import Body, answer
from cli.command_table import Answering
from cli.common import services
from cli.tables import Columns, print_rows
from mailroom.domain.ids import RunId
from mailroom.services.resending import runs as resend_runs
from scheduler_api.schemas import resends

_STEP = 1_000


@click.command("unreached", cls=Answering)
@click.argument("run_id")
def unreached(run_id: str) -> None:
    """All recipients that a run is known not to have reached, with reasons. Mails in doubt or unknown are not among
    them."""
    db, after, left = services().db, "", 0
    items: list[dict[str, Any]] = []
    while (page := resend_runs.unreached_by(db, RunId(run_id), after=after, limit=_STEP)).messages:
        after, left = page.messages[-1].id, page.left
        items += map(resends.missed, page.messages)
    answer(resends.Unreached, {"items": items, "left": left, "next_cursor": None}, _show)


def _show(body: Body) -> None:
    columns: Columns = {
        "address": "address",
        "state": "status",
        "code": lambda message: message["code"] or "",
        "why": lambda message: message["reason"] or "",
        "sent again by": lambda message: message["sent_again"] or "",
    }
    print_rows(body["items"], columns)
    click.echo(f"{body['left']} of them are carried by no other run", err=True)
