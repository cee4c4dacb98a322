"""`mailroom token`: made, rotated, listed, revoked at the terminal."""

from datetime import UTC, datetime, timedelta
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from cli.looking import services, show, told
from mailroom.assembly import prepare_database
from mailroom.domain import principals
from mailroom.domain.limits import MAX_RATE
from mailroom.services.operations import tokens as token_service
from mailroom.services.operations.tokens import MAX_OVERLAP_S, OVERLAP

_COUNT = click.IntRange(1, MAX_RATE)


@click.group()
def token() -> None:
    """Tokens for the API and the pages."""


@token.command("create")
@click.option("--name", required=True, help="Who or what will use it.")
@click.option(
    "--scope", "scopes", multiple=True, required=True, help=f"One or more of: {', '.join(principals.SCOPES)}."
)
@click.option("--requests-per-minute", type=_COUNT, help="Instead of MAILROOM_REQUESTS_PER_MINUTE.")
@click.option("--mails-per-day", type=_COUNT, help="Single mails a day, instead of MAILROOM_MAILS_PER_DAY.")
def create_token(name: str, scopes: tuple[str, ...], **limits: Any) -> None:
    """Print a new token, alone, on standard output. It is not shown again."""
    made = services()
    with told():
        prepare_database(made.settings)
        click.echo(token_service.create_token(made.db, name=name, scopes=scopes, now=datetime.now(UTC), **limits))


@token.command("rotate")
@click.argument("token_id")
@click.option(
    "--overlap",
    "overlap_s",
    type=click.IntRange(0, MAX_OVERLAP_S),
    default=int(OVERLAP.total_seconds()),
    show_default=True,
    help="Seconds for which the old token is let in beside the new one; 0 ends it at once.",
)
def rotate(token_id: str, overlap_s: int) -> None:
    """Print a new token of the same owner, alone, on standard output: an Idempotency-Key goes on naming the same."""
    with told():
        text = token_service.rotate(
            services().db, token_id, now=datetime.now(UTC), overlap=timedelta(seconds=overlap_s)
        )
    click.echo(text)


@token.command("list")
def list_tokens() -> None:
    """All tokens, newest first, without their secrets."""
    table = Table("id", "name", "owner", "scopes", "last used", "ends", box=None)
    for one in token_service.everyone(services().db):
        used = one.last_used_at.isoformat(timespec="minutes") if one.last_used_at else "never"
        end = one.revoked_at or one.expires_at
        ends = f"{'revoked ' if one.revoked_at else ''}{end.isoformat(timespec='minutes')}" if end else "-"
        table.add_row(one.id, escape(one.name), one.owner, ", ".join(sorted(one.scopes)), used, ends)
    show(table)


@token.command("revoke")
@click.argument("token_id")
def revoke(token_id: str) -> None:
    """Refuse a token from now on."""
    with told():
        token_service.revoke(services().db, token_id, now=datetime.now(UTC))
    click.echo(f"{token_id} is revoked")
