"""`mailroom schedules render` and `test`: a schedule's mail seen, and tried."""

import secrets

import click

from cli.answers import Body, answer
from cli.command_table import Answering
from cli.common import actor, prepared_services, services
from cli.shown_mails import print_mail
from cli.tables import print_rows, printable
from mailroom.assembly.providers import build_senders
from mailroom.domain.ids import ScheduleId
from mailroom.services.operations import campaign_checks
from mailroom.services.schedules import proofs, rendering, send_test
from scheduler_api.schemas import schedule_actions as actions

_CONTACT = click.option("--contact", help="An address of the audience; the first if left out.")


@click.command("render", cls=Answering)
@click.argument("schedule_id")
@_CONTACT
def render(schedule_id: str, contact: str | None) -> None:
    """What a recipient would get of the newest content. Nothing is sent."""
    made = services()
    proof = proofs.of_schedule(made.db, ScheduleId(schedule_id))
    mail = rendering.render(made.db, proof, contact, link=made.links.example, feeds=made.feeds)
    hints = campaign_checks.hints_of(made.db, proof, mail, build_senders(made.settings))
    answer(actions.RenderedOut, actions.rendered(mail, hints), _show)


@click.command("test", cls=Answering)
@click.argument("schedule_id")
@click.argument("to", nargs=-1, required=True)
@_CONTACT
@click.option("--key", help="An Idempotency-Key: the same command again sends nothing.")
def test(schedule_id: str, to: tuple[str, ...], contact: str | None, key: str | None) -> None:
    """Send the newest content to these addresses, as a recipient would get it."""
    made = prepared_services()
    sent = send_test.send(
        made.db,
        ScheduleId(schedule_id),
        to,
        contact=contact,
        link=made.links.example,
        feeds=made.feeds,
        key=key or secrets.token_hex(16),
        hand_in=lambda drafts: made.outbox.hand_in_many(drafts, owner=actor()),
    )
    columns = {"address": "address", "state": "status", "id": "id"}
    answer(actions.TestOut, actions.sent_tests(sent), lambda body: print_rows(body["items"], columns))


def _show(body: Body) -> None:
    print_mail(body, to=body["contact"])
    for hint in body["hints"]:
        click.echo(printable(f"Hint: {hint['message']}"), err=True)
