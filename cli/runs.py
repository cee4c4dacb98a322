"""`mailroom runs` and `mailroom emails`: who did not get a mail, and once more to exactly those."""

import secrets

import click
from rich.markup import escape
from rich.table import Table

from cli.looking import services, show, told, who
from mailroom.domain.ids import EmailId, RunId
from mailroom.services.resending import mails as resend_mails
from mailroom.services.resending import runs as resend_runs

_KEY = click.option("--key", help="An Idempotency-Key: the same command again is the same one.")


@click.group("runs")
def runs_() -> None:
    """Runs: whom one did not reach."""


@runs_.command("unreached")
@click.argument("run_id")
def unreached(run_id: str) -> None:
    """Who did not get it, and why. What is in doubt or unknown is not among them."""
    table = Table("address", "state", "code", "why", "sent again by", box=None)
    db, after, left = services().db, "", 0
    with told():
        while (page := resend_runs.unreached_by(db, RunId(run_id), after=after, limit=1_000)).rows:
            after, left = page.rows[-1]["_id"], page.left
            for row in page.rows:
                about = (str(row.get("code") or ""), escape(row.get("reason") or ""), row.get("sent_again", ""))
                table.add_row(row["address"], row["state"], *about)
    show(table)
    click.echo(f"{left} of them are carried by no other run", err=True)


@runs_.command("send-again")
@click.argument("run_id")
@click.option("--newest", is_flag=True, help="The newest content instead of that run's.")
@_KEY
def run_again(run_id: str, newest: bool, key: str | None) -> None:
    """A run to exactly those whom this one did not reach. Prints its id, alone, on standard output."""
    made, key = services(), key or secrets.token_hex(16)
    with told():
        batch_size = made.settings.sending.batch_size
        run, _ = resend_runs.run_again(
            made.db, RunId(run_id), owner=who(), key=key, batch_size=batch_size, newest=newest
        )
    click.echo(run.id)


@click.group("emails")
def emails_() -> None:
    """Single mails."""


@emails_.command("send-again")
@click.argument("email_id")
@_KEY
def mail_again(email_id: str, key: str | None) -> None:
    """The same mail to exactly those whom it did not reach. Prints the new one's id, alone, on standard output."""
    made, key = services(), key or secrets.token_hex(16)
    lanes = made.settings.sending.mail_lanes
    with told():
        again, _ = resend_mails.send_again(made.db, EmailId(email_id), owner=who(), key=key, lanes=lanes)
    click.echo(again)
