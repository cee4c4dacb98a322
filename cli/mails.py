"""`mailroom send`: it speaks to the stores directly, so it works while the API is away."""

import base64
import mimetypes
import sys
from pathlib import Path
from typing import Any

import click

from cli.looking import services, told, who
from mailroom.assembly import prepare_database
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import Priority


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
    written = sys.stdin.read() if text == "-" else text
    found = services()
    with told():
        prepare_database(found.settings)
        draft = EmailDraft(text=written, attachments=attachments, **fields)
        taken = found.outbox.hand_in(draft, owner=who(), key=key)
    for address, reason in taken.recipients:
        if reason is not None:
            click.echo(f"{address} gets nothing: {reason}", err=True)
    click.echo(taken.id)
