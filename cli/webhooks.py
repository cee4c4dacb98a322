"""`mailroom webhooks`: register our URL with a provider, and test it."""

import sys
import time

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, prepared_services, services
from cli.progress import progress
from cli.tables import print_rows
from mailroom.assembly.providers import build_target
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.services.feedback import webhook_targets
from mailroom.services.feedback.webhook_targets import LONGEST_WAIT_S
from scheduler_api.schemas import webhook_targets as schemas


@click.group(cls=Noun)
def webhooks() -> None:
    """Where the providers send their webhooks."""


@webhooks.command("list")
def list_webhooks() -> None:
    """The targets that Mailroom has set, and when webhooks came last."""
    made = services()
    shown = schemas.listing(webhook_targets.listing(made.db), made.settings.sending.providers)
    answer(schemas.Targets, shown, _show_list)


@webhooks.command("set")
@click.option("--provider", help="Of those in MAILROOM_PROVIDERS; the first, if it is not said.")
@click.option("--url", help="MAILROOM_PUBLIC_URL, if it is not said; a tunnel's URL, for instance.")
@click.option("--wait", "wait_s", default=30, show_default=True, type=click.IntRange(0, LONGEST_WAIT_S))
def set_webhooks(provider: str | None, url: str | None, wait_s: int) -> None:
    """Make our URL the target of a provider's webhooks, and wait for a test event, if the provider has one. Exits 1 if
    none arrives."""
    made = prepared_services()
    name, base = provider or made.settings.sending.providers[0], url or made.settings.web.public_url
    try:
        target = build_target(made.settings, name)
    except LookupError as error:
        raise InvalidInput(Fault("provider", str(error))) from None
    with progress(f"{name}: waiting for a test event"):
        pushed = webhook_targets.push(made.db, target, name, base, by=actor(), wait_s=wait_s, sleep=time.sleep)
    answer(schemas.PushedOut, schemas.pushed(pushed), _show_pushed)
    if pushed.asked and pushed.arrived_after_s is None:
        click.echo(f"no test event came within {wait_s} s: can the URL be reached from outside?", err=True)
        sys.exit(1)


def _show_list(body: Body) -> None:
    columns = {"provider": "provider", "sends to": "url", "set": "pushed_at", "by": "pushed_by"}
    print_rows(body["items"], {**columns, "last event": "arrived_at"})


def _show_pushed(body: Body) -> None:
    click.echo(f"{body['provider']} sends its webhooks to {body['url']}")
    if body["arrived"]:
        click.echo(f"a test event came after {body['arrived_after_s']:.1f} s")
    if not body["has_test_event"]:
        click.echo(f"{body['provider']} has no test event: the next email's events show whether they arrive")
