"""`mailroom dead-letters`: mails that failed for good."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, services
from cli.paging import paged
from cli.progress import progress
from cli.questions import asks, confirm
from cli.tables import Columns, print_page, printable
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.searches import DeadLetterSearch
from mailroom.domain.words import counted
from mailroom.services.operations import dead_letters
from mailroom.services.operations.dead_letters import Chosen
from mailroom.services.reports.descriptions import describe
from mailroom.storage.database import Db
from scheduler_api import paging
from scheduler_api.schemas import dead_letters as schemas
from scheduler_api.schemas import dispatches as dispatch_schemas
from scheduler_api.schemas.people import described

F = TypeVar("F", bound=Callable[..., Any])
_COUNTED: Final = 1_000  # of a filter, for the question


@click.group("dead-letters", cls=Noun)
def dead_letters_() -> None:
    """Mails that failed for good: list, send again, drop."""


def _filtered(command: F) -> F:
    run = click.option("--run", "run_id", help="Of a run, or the id of a single mail.")
    code = click.option("--code", type=int, help="The provider's, such as 550.")
    return run(code(command))


@dead_letters_.command("list")
@_filtered
@paged
def list_dead_letters(run_id: str | None, code: int | None, limit: int, cursor: str | None) -> None:
    """Mails that failed for good, with reasons."""
    db = services().db
    found = dead_letters.page(db, _search(run_id, code), after=paging.decode_id(cursor), limit=limit)
    about = describe(db, [dispatch.id for dispatch in found])
    page = paging.page_of(found, limit, lambda one: described(dispatch_schemas.dispatch(one), about), paging.by_id)
    answer(schemas.DeadLetterPage, page, _show_page)


@dead_letters_.command("requeue")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All, or all of a filter.")
@_filtered
@asks
def requeue(ids: tuple[str, ...], everything: bool, run_id: str | None, code: int | None) -> None:
    """Send them again, each as a new attempt with all its tries."""
    chosen, db = _chosen(ids, everything, run_id, code), services().db
    requests, count = _counted(db, chosen)
    confirm(f"Retry {requests}?", "Their emails are sent again. Retry after the cause is fixed.")
    with progress("Requeueing", count) as advance:
        done = dead_letters.requeue(db, chosen, by=actor(), advance=advance)
    answer(schemas.DoneOut, {"done": done.done, "refused": dict(done.refused)}, _show_done)


@dead_letters_.command("drop")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All, or all of a filter.")
@_filtered
@asks
def drop(ids: tuple[str, ...], everything: bool, run_id: str | None, code: int | None) -> None:
    """Take them off the list: they stay failed."""
    chosen, db = _chosen(ids, everything, run_id, code), services().db
    requests, count = _counted(db, chosen)
    confirm(f"Dismiss {requests}?", "They leave the list and stay failed. This cannot be undone.")
    with progress("Dismissing", count) as advance:
        dropped = dead_letters.drop(db, chosen, by=actor(), advance=advance)
    answer(schemas.DoneOut, {"done": dropped, "refused": {}}, lambda body: click.echo(f"{body['done']} dropped"))


def _chosen(ids: tuple[str, ...], everything: bool, run_id: str | None, code: int | None) -> Chosen:
    if bool(ids) == everything:
        raise click.UsageError("name them, or say --all")
    return _search(run_id, code) if everything else [DispatchId(id_) for id_ in ids]


def _search(run_id: str | None, code: int | None) -> DeadLetterSearch:
    return DeadLetterSearch(RunId(run_id) if run_id else None, code=code)


def _counted(db: Db, chosen: Chosen) -> tuple[str, int | None]:
    """Their number, in words, and as a number if it is known."""
    if not isinstance(chosen, DeadLetterSearch):
        return counted(len(chosen), "failed request"), len(chosen)
    count = len(dead_letters.page(db, chosen, after="", limit=_COUNTED + 1))
    if count > _COUNTED:
        return f"more than {_COUNTED:,} failed requests", None
    return counted(count, "failed request"), count


def _show_page(body: Body) -> None:
    columns: Columns = {"id": "id", "messages": "messages", "tries": "tries", "code": lambda one: one["code"] or ""}
    more: Columns = {"to": "recipients", "reason": lambda one: one["reason"] or ""}
    print_page(body, {**columns, **more})


def _show_done(body: Body) -> None:
    for why in body["refused"].values():
        click.echo(printable(why), err=True)
    click.echo(f"{body['done']} to be sent again")
