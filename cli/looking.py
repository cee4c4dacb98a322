"""Commands that look: they speak to the stores directly, so they work while the API is away."""

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mailroom.assembly import ApiServices, build_api_services, build_target, prepare_database
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.errors import MailroomError
from mailroom.domain.ids import DispatchId
from mailroom.services.feedback import webhook_targets
from mailroom.services.feedback.webhook_targets import LONGEST_WAIT_S
from mailroom.services.reconciliation import resolve
from mailroom.services.reconciliation.resolve import Resolution
from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import view as schedule_view


def services() -> ApiServices:
    """What the commands work with, by the settings; or every fault of them, and exit 2."""
    from cli.main import settings_or_exit

    return build_api_services(settings_or_exit(), app="cli")


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
def schedules() -> None:
    """Schedules."""


@schedules.command("list")
def list_schedules() -> None:
    """The newest schedules and when they run next."""
    table = Table("id", "name", "state", "next run", box=None)
    for schedule in schedule_view.page(services().db, state=None, before=None, limit=200):
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
    for doc in run_views.dispatches_of(services().db, state=DispatchState(state), run_id=None, after="", limit=200):
        table.add_row(doc["_id"], str(doc["messages"]), str(doc["attempt"]), escape(doc.get("reason") or ""))
    show(table)


@dispatches.command("resolve")
@click.argument("dispatch_id")
@click.option("--went-out", "word", flag_value=Resolution.WENT_OUT.value, help="It went out: count it as sent.")
@click.option("--send-again", "word", flag_value=Resolution.SEND_AGAIN.value, help="It did not: make a new attempt.")
def resolve_dispatch(dispatch_id: str, word: str | None) -> None:
    """Say what became of a dispatch that is unknown.

    --went-out may be said of one in doubt too, --send-again of one that failed.
    """
    if word is None:
        raise click.UsageError("say --went-out or --send-again")
    with told():
        resolve.resolve(services().db, DispatchId(dispatch_id), Resolution(word), by=who())
    click.echo(f"{dispatch_id}: {word.replace('_', ' ')}")


@dispatches.command("requeue")
@click.argument("dispatch_id")
def requeue_dispatch(dispatch_id: str) -> None:
    """Send a dispatch again that failed: a new attempt, with all its tries."""
    with told():
        refused = resolve.requeue(services().db, [DispatchId(dispatch_id)], by=who())
    for why in refused.values():
        raise click.ClickException(why)
    click.echo(f"{dispatch_id}: to be sent again")


@click.group()
def webhooks() -> None:
    """Where the provider sends its webhooks."""


@webhooks.command("set")
@click.option("--provider", help="Of those in MAILROOM_PROVIDERS; the first, if it is not said.")
@click.option("--url", help="MAILROOM_PUBLIC_URL, if it is not said; a tunnel's URL, for instance.")
@click.option("--wait", "wait_s", default=30, show_default=True, type=click.IntRange(0, LONGEST_WAIT_S))
def set_webhooks(provider: str | None, url: str | None, wait_s: int) -> None:
    """Make our URL the target of a provider's webhooks, and wait for a test event. Exits 1 if none arrives."""
    made = services()
    name, base = provider or made.settings.sending.providers[0], url or made.settings.web.public_url
    try:
        target = build_target(made.settings, name)
    except LookupError as error:
        raise click.ClickException(str(error)) from None
    with told(), Console(stderr=True).status(f"{name}: waiting for a test event"):
        prepare_database(made.settings)
        pushed = webhook_targets.push(made.db, target, name, base, by=who(), wait_s=wait_s, sleep=time.sleep)
    click.echo(f"{name} sends its webhooks to {pushed.url}")
    if pushed.arrived_after_s is None:
        raise click.ClickException(f"no test event came within {wait_s} s: can the URL be reached from outside?")
    click.echo(f"a test event came after {pushed.arrived_after_s:.1f} s")
