"""Commands that look and that make tokens: they speak to the stores directly, so they work while the API is away."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mailroom.assembly import Front, build_front, prepare_database
from mailroom.domain.dispatches import DispatchState
from mailroom.domain.errors import MailroomError
from mailroom.domain.ids import DispatchId
from mailroom.providers.mailgun.targets import set_targets
from mailroom.services import access, resolving, running, scheduling
from mailroom.services.resolving import Word


def front() -> Front:
    """What the commands work with, by the settings; or every fault of them, and exit 2."""
    from cli.main import settings_or_exit

    return build_front(settings_or_exit(), app="cli")


def show(table: Table) -> None:
    """Print a table. Ids are to be copied: they are folded on a terminal, and whole lines go into a pipe."""
    for column in table.columns:
        column.overflow = "fold"
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)
    console.print(table)


def who() -> str:
    """Who is at the terminal, for audit trails."""
    return f"cli:{getpass.getuser()}"


@contextmanager
def told() -> Iterator[None]:
    """What Mailroom refuses, as a command's error."""
    try:
        yield
    except MailroomError as error:
        raise click.ClickException(str(error)) from None


@click.group()
def token() -> None:
    """Tokens for the API and the pages."""


@token.command("create")
@click.option("--name", required=True, help="Who or what will use it.")
@click.option("--scope", "scopes", multiple=True, required=True, help=f"One or more of: {', '.join(access.SCOPES)}.")
def create_token(name: str, scopes: tuple[str, ...]) -> None:
    """Print a new token, alone, on standard output. It is not shown again."""
    made = front()
    with told():
        prepare_database(made.settings)
        click.echo(access.create_token(made.db, name=name, scopes=scopes, now=datetime.now(UTC)))


@click.group()
def schedules() -> None:
    """Schedules."""


@schedules.command("list")
def list_schedules() -> None:
    """The newest schedules and when they run next."""
    table = Table("id", "name", "state", "next run", box=None)
    for schedule in scheduling.page(front().db, state=None, before=None, limit=200):
        following = schedule.next_run_at
        shown = following.astimezone(schedule.recurrence.zone).isoformat() if following else "-"
        table.add_row(schedule.id, escape(schedule.name), schedule.state, shown)
    show(table)


@click.group()
def dispatches() -> None:
    """Dispatches: one call to a provider each."""


@dispatches.command("list")
@click.option(
    "--state", type=click.Choice([state.value for state in DispatchState]), default="in_doubt", show_default=True
)
def list_dispatches(state: str) -> None:
    """Dispatches in a state, and why."""
    table = Table("id", "messages", "attempt", "reason", box=None)
    for doc in running.dispatches_of(front().db, state=DispatchState(state), run_id=None, after="", limit=200):
        table.add_row(doc["_id"], str(doc["messages"]), str(doc["attempt"]), escape(doc.get("reason") or ""))
    show(table)


@dispatches.command("resolve")
@click.argument("dispatch_id")
@click.option("--went-out", "word", flag_value=Word.WENT_OUT.value, help="It went out: count it as sent.")
@click.option("--send-again", "word", flag_value=Word.SEND_AGAIN.value, help="It did not: make a new attempt.")
def resolve_dispatch(dispatch_id: str, word: str | None) -> None:
    """Say what became of a dispatch that is unknown.

    --went-out may be said of one in doubt too, --send-again of one that failed.
    """
    if word is None:
        raise click.UsageError("say --went-out or --send-again")
    with told():
        resolving.resolve(front().db, DispatchId(dispatch_id), Word(word), by=who())
    click.echo(f"{dispatch_id}: {word.replace('_', ' ')}")


@dispatches.command("requeue")
@click.argument("dispatch_id")
def requeue_dispatch(dispatch_id: str) -> None:
    """Send a dispatch again that failed: a new attempt, with all its tries."""
    with told():
        resolving.requeue(front().db, DispatchId(dispatch_id), by=who())
    click.echo(f"{dispatch_id}: to be sent again")


@click.group()
def webhooks() -> None:
    """Where the provider sends its webhooks."""


@webhooks.command("set")
def set_webhooks() -> None:
    """Make MAILROOM_PUBLIC_URL's /webhooks/mailgun a target of Mailgun's webhooks."""
    settings = front().settings
    mailgun, url = settings.mailgun, f"{settings.web.public_url}/webhooks/mailgun"
    with told():
        set_targets(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key, url=url)
    click.echo(f"Mailgun's webhooks for {mailgun.domain} go to {url}")
