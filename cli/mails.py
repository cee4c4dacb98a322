"""Commands about single mails and what failed for good. They speak to the stores directly, so they work while the API
is away."""

import base64
import getpass
import mimetypes
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from cli.looking import front, show
from mailroom.assembly import prepare_database
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import Priority
from mailroom.domain.errors import MailroomError
from mailroom.domain.ids import DispatchId
from mailroom.services import dead_letters
from mailroom.services.dead_letters import Filter


@click.command()
@click.option("--from", "sender", required=True, help="The From mailbox.")
@click.option("--to", multiple=True, required=True)
@click.option("--cc", multiple=True)
@click.option("--bcc", multiple=True)
@click.option("--subject", required=True)
@click.option("--text", default="", help="The text; '-' reads it from standard input.")
@click.option("--html", default="")
@click.option("--attach", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--priority", type=click.Choice([one.value for one in Priority]), default="normal", show_default=True)
@click.option("--key", help="An Idempotency-Key: the same command again is the same mail.")
def send(text: str, attach: tuple[Path, ...], key: str | None, **fields: Any) -> None:
    """Hand a single mail in. Prints its id, alone, on standard output."""
    attachments = [
        {
            "filename": path.name,
            "content_type": mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            "content": base64.b64encode(path.read_bytes()).decode(),
        }
        for path in attach
    ]
    written = click.get_text_stream("stdin").read() if text == "-" else text
    found = front()
    try:
        prepare_database(found.settings)
        draft = EmailDraft(text=written, attachments=attachments, **fields)
        taken = found.outbox.hand_in(draft, owner=_who(), key=key)
    except MailroomError as error:
        raise click.ClickException(str(error)) from None
    click.echo(taken.id)


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
    for doc in dead_letters.page(front().db, _filter(run_id, code), after="", limit=200):
        told = (str(doc["messages"]), str(doc["tries"]), str(doc.get("code") or ""), escape(doc.get("reason") or ""))
        table.add_row(doc["_id"], *told)
    show(table)


@dead_letters_.command("requeue")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All, or all of a filter.")
@_filtered
def requeue(ids: tuple[str, ...], everything: bool, run_id: str | None, code: int | None) -> None:
    """Send them again, each as a new attempt with all its tries."""
    _check_choice(ids, everything)
    db = front().db
    if everything:
        done = dead_letters.requeue_all(db, _filter(run_id, code), by=_who())
    else:
        done = dead_letters.requeue(db, [DispatchId(id_) for id_ in ids], by=_who())
    for why in done.refused.values():
        click.echo(why, err=True)
    click.echo(f"{done.done} to be sent again")


@dead_letters_.command("drop")
@click.argument("ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All, or all of a filter.")
@_filtered
def drop(ids: tuple[str, ...], everything: bool, run_id: str | None, code: int | None) -> None:
    """Take them off the list: they stay failed."""
    _check_choice(ids, everything)
    db = front().db
    if everything:
        dropped = dead_letters.drop_all(db, _filter(run_id, code), by=_who())
    else:
        dropped = dead_letters.drop(db, [DispatchId(id_) for id_ in ids], by=_who())
    click.echo(f"{dropped} dropped")


def _check_choice(ids: tuple[str, ...], everything: bool) -> None:
    if bool(ids) == everything:
        raise click.UsageError("name them, or say --all")


def _filter(run_id: str | None, code: int | None) -> Filter:
    return dead_letters.filter_of(run_id=run_id, code=code)


def _who() -> str:
    return f"cli:{getpass.getuser()}"
