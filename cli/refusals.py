"""`mailroom refusals`: requests that were refused."""

from typing import Any

import click

from cli.answers import Body, answer
from cli.command_table import Answering
from cli.common import services
from cli.paging import paged
from cli.tables import Columns, print_page
from mailroom.services.operations import rejected_requests
from scheduler_api import paging
from scheduler_api.schemas import refusals as schemas


@click.command("refusals", cls=Answering)
@click.option("--status", type=click.IntRange(400, 499), help="Only these, such as 422.")
@paged
def refusals_(status: int | None, limit: int, cursor: str | None) -> None:
    """Refused requests, newest first, with their reasons."""
    found = rejected_requests.page(services().db, status=status, before=paging.decode_id(cursor), limit=limit)
    answer(schemas.Refusals, paging.page_of(found, limit, schemas.refusal, paging.by_id), _show)


def _show(body: Body) -> None:
    columns: Columns = {
        "when": "at",
        "request": _request,
        "status": "status",
        "who": lambda one: one["who"] or one["remote"],
    }
    print_page(body, {**columns, "why": _why})


def _request(refusal: Any) -> str:
    return f"{refusal['method']} {refusal['path']}"


def _why(refusal: Any) -> str:
    faults = (f"{fault['path']}: {fault['message']}" for fault in refusal["errors"])
    return "; ".join([refusal["detail"] or refusal["code"], *faults])
