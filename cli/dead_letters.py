"""`mailroom dead-letters`: what failed for good."""

from typing import Any, Final

import click
from rich.markup import escape
from rich.table import Table

from cli.looking import services, show, who
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.searches import DeadLetterSearch
from mailroom.services.operations import dead_letters
from mailroom.services.operations.dead_letters import Chosen

_ROWS: Final = 200


@click.group("dead-letters")
def dead_letters_() -> None:
    """What failed for good: look, send again, drop."""


def _filtered(command: Any) -> Any:
    for option in (
        click.option("--run", "run_id", help="Of a run, or the id of a single mail."),
        click.option("--code", type=int, help="The provider's, such as 550."),
    ):
        command = option(command)
    return command


@dead_letters_.command("list")
@_filtered
def list_dead_letters(run_id: str | None, code: int | None) -> None:
    """Each with its reason."""
    table = Table("id", "messages", "tries", "code", "reason", box=None)
    letters = dead_letters.page(services().db, _search(run_id, code), after="", limit=_ROWS)
    for doc in letters:
        told = (str(doc["messages"]), str(doc["tries"]), str(doc.get("code") or ""), escape(doc.get("reason") or ""))
        table.add_row(doc["_id"], *told)
    show(table)
    if len(letters) == _ROWS:
        click.echo(f"These are the first {_ROWS}; --run and --code narrow it down.", err=True)


@dead_letters_.command("requeue")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All, or all of a filter.")
@_filtered
def requeue(ids: tuple[str, ...], everything: bool, run_id: str | None, code: int | None) -> None:
    """Send them again, each as a new attempt with all its tries."""
    done = dead_letters.requeue(services().db, _chosen(ids, everything, run_id, code), by=who())
    for why in done.refused.values():
        click.echo(why, err=True)
    click.echo(f"{done.done} to be sent again")


@dead_letters_.command("drop")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All, or all of a filter.")
@_filtered
def drop(ids: tuple[str, ...], everything: bool, run_id: str | None, code: int | None) -> None:
    """Take them off the list: they stay failed."""
    click.echo(f"{dead_letters.drop(services().db, _chosen(ids, everything, run_id, code), by=who())} dropped")


def _chosen(ids: tuple[str, ...], everything: bool, run_id: str | None, code: int | None) -> Chosen:
    if bool(ids) == everything:
        raise click.UsageError("name them, or say --all")
    return _search(run_id, code) if everything else [DispatchId(id_) for id_ in ids]


def _search(run_id: str | None, code: int | None) -> DeadLetterSearch:
    return DeadLetterSearch(RunId(run_id) if run_id else None, code=code)
