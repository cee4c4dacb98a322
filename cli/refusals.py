"""`mailroom refusals`: requests that were refused."""

import click
from rich.markup import escape
from rich.table import Table

from cli.looking import services, show
from mailroom.services.operations import rejected_requests


@click.command("refusals")
@click.option("--status", type=click.IntRange(400, 499), help="Only these, such as 422.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1_000))
def refusals_(status: int | None, limit: int) -> None:
    """Refused requests, newest first, with their reasons."""
    table = Table("when", "request", "status", "who", "why", box=None)
    for doc in rejected_requests.page(services().db, status=status, before="", limit=limit):
        why = "; ".join([doc["detail"] or doc["code"], *(f"{one['path']}: {one['message']}" for one in doc["faults"])])
        who = doc["who"] or doc["remote"]
        table.add_row(doc["at"].isoformat(), f"{doc['method']} {doc['path']}", str(doc["status"]), who, escape(why))
    show(table)
