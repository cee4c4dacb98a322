"""`mailroom token`: made, rotated, listed, revoked at the terminal."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cli.answers import Body, answer, answer_plainly
from cli.command_table import Noun
from cli.common import prepared_services, services
from cli.first_token import first_token
from cli.paging import moment
from cli.questions import asks, confirm
from cli.tables import print_rows
from mailroom.domain import principals
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_RATE
from mailroom.services.operations import tokens as token_service
from mailroom.services.operations.token_check import token_id_of
from mailroom.services.operations.tokens import MAX_OVERLAP_S, OVERLAP
from mailroom.storage.database import Db
from scheduler_api.schemas import tokens as schemas

_COUNT = click.IntRange(1, MAX_RATE)


@click.group(cls=Noun)
def token() -> None:
    """Tokens for the API and the pages."""


@token.command("create")
@click.option("--name", required=True, help="Who or what will use it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    help=f"One of: {', '.join(principals.SCOPES)}. Repeat it for several.",
)
@click.option("--expires-at", callback=moment, help="ISO 8601 with an offset; never where it is left out.")
@click.option("--requests-per-minute", type=_COUNT, help="Instead of MAILROOM_REQUESTS_PER_MINUTE.")
@click.option("--mails-per-day", type=_COUNT, help="Single mails a day, instead of MAILROOM_MAILS_PER_DAY.")
def create_token(name: str, scopes: tuple[str, ...], expires_at: datetime | None, **limits: Any) -> None:
    """Print a new token, alone, on standard output. It is not shown again."""
    if expires_at is not None and expires_at.tzinfo is None:
        raise InvalidInput(Fault("expires_at", "needs an offset, such as 2026-12-01T09:00:00+01:00"))
    db, now = prepared_services().db, datetime.now(UTC)
    _answer(db, token_service.create_token(db, name=name, scopes=scopes, now=now, expires_at=expires_at, **limits))


@token.command("first")
@click.option(
    "--file",
    "path",
    default="admin-token",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Where it is kept, for nobody else to read.",
)
def keep_first(path: Path) -> None:
    """Keep an admin's token in a file, and print the file's path. A token that is there, and let in, stays."""
    first_token(path, prepared_services().db, name="first")
    answer_plainly({"path": str(path)}, lambda body: click.echo(body["path"]))


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
@asks
def rotate(token_id: str, overlap_s: int) -> None:
    """Print a new token of the same owner, alone, on standard output: an Idempotency-Key names the same mail as
    before."""
    db = services().db
    if not overlap_s:
        name = token_service.known(db, token_id).name
        confirm(f"End token {token_id} (“{name}”) at once?", "Whoever uses it is refused until they have the new one.")
    overlap = timedelta(seconds=overlap_s)
    _answer(db, token_service.rotate(db, token_id, now=datetime.now(UTC), overlap=overlap))


@token.command("list")
def list_tokens() -> None:
    """All tokens, newest first, without their secrets."""
    shown = [schemas.TokenOut().dump(schemas.token(one)) for one in token_service.everyone(services().db)]
    answer_plainly({"items": shown}, _show_list)


@token.command("revoke")
@click.argument("token_id")
@asks
def revoke(token_id: str) -> None:
    """Refuse a token from now on."""
    db = services().db
    name = token_service.known(db, token_id).name
    confirm(f"Revoke token {token_id} (“{name}”)?", "Whoever uses it is refused from now on. This cannot be undone.")
    token_service.revoke(db, token_id, now=datetime.now(UTC))
    shown = schemas.token(token_service.known(db, token_id))
    answer(schemas.TokenOut, shown, lambda _: click.echo(f"{token_id} is revoked"))


def _answer(db: Db, text: str) -> None:
    """Answer with a new token: its text, alone."""
    shown = schemas.token(token_service.known(db, token_id_of(text))) | {"token": text}
    answer(schemas.NewToken, shown, lambda body: click.echo(body["token"]))


def _show_list(body: Body) -> None:
    columns = {"id": "id", "name": "name", "owner": "owner", "scopes": "scopes"}
    times = {"last used": lambda one: one["last_used_at"] or "never", "ends": _end}
    print_rows(body["items"], {**columns, **times})


def _end(shown: Any) -> str:
    return f"revoked {shown['revoked_at']}" if shown["revoked_at"] else shown["expires_at"] or "-"
