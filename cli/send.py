"""`mailroom send`: it speaks to the stores directly, so it works while the API is away."""

import base64
import mimetypes
import sys
from pathlib import Path
from typing import Any

import click

from cli.accepted_mail import answer_accepted
from cli.command_table import Answering
from cli.common import actor, prepared_services
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import OnDoubt, Priority


@click.command(cls=Answering)
@click.option("--from", "sender", required=True, help="The From mailbox.")
@click.option("--to", multiple=True, required=True)
@click.option("--cc", multiple=True)
@click.option("--bcc", multiple=True)
@click.option("--subject", required=True)
@click.option(
    "--text", default="", help="The text; '-' reads it from standard input. Without it one is made from the HTML."
)
@click.option("--html", default="")
@click.option("--attach", multiple=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--priority", type=click.Choice([one.value for one in Priority]), default="normal", show_default=True)
@click.option(
    "--on-doubt",
    type=click.Choice([one.value for one in OnDoubt]),
    default="wait",
    show_default=True,
    help="With 'elsewhere' a mail in doubt goes by the next provider after a few seconds. It may go twice.",
)
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
    draft = EmailDraft(text=written or None, attachments=attachments, **fields)
    answer_accepted(prepared_services().outbox.hand_in(draft, owner=actor(), key=key))
