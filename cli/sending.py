"""`mailroom sending`: stop and start all sending from a terminal."""

import click

from cli.answers import Body, answer
from cli.command_table import Noun
from cli.common import actor, services
from mailroom.services.common import sending_switch
from mailroom.services.common.sending_switch import Switch
from scheduler_api.schemas import sending as schemas


@click.group("sending", cls=Noun)
def sending_() -> None:
    """The one switch for all sending: campaigns, single mails, retries."""


@sending_.command("stop")
def stop() -> None:
    """Stop all sending until it is started again. Calls that have begun are finished."""
    made = services()
    _answer(sending_switch.stop(made.db, made.brakes.mirror, made.brakes.fences, by=actor()))


@sending_.command("start")
def start() -> None:
    """Start sending again; waiting mails go out."""
    made = services()
    _answer(sending_switch.start(made.db, made.brakes.mirror, made.brakes.fences, by=actor()))


@sending_.command("status")
def status() -> None:
    """Show the switch. Exits 1 while all sending is stopped."""
    made = services()
    now = sending_switch.switch(made.db, made.brakes.mirror, made.brakes.fences)
    _answer(now)
    if not now.sending:
        raise SystemExit(1)


def _answer(now: Switch) -> None:
    def show(_: Body) -> None:
        stopped = f"{sending_switch.in_words(now.hold)}. {sending_switch.what_still_goes(now)}"
        click.echo("Sending is on." if now.sending else stopped)

    answer(schemas.SendingOut, schemas.switch(now), show)
