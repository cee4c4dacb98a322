"""`mailroom logs`: more or fewer lines in the logs of all processes, while they run."""

from datetime import UTC, datetime, timedelta

import click

from cli.answers import Body, answer_plainly
from cli.command_table import Noun
from cli.common import actor, services
from mailroom.services.operations import log_level
from mailroom.services.operations.log_level import LEVELS
from mailroom.storage.cluster.log_level import ChosenLevel

_OWN = "default"


@click.group("logs", cls=Noun)
def logs_() -> None:
    """The level of detail in the logs."""


@logs_.command("level")
@click.argument("level", required=False, type=click.Choice([*LEVELS, _OWN]))
@click.option(
    "--minutes",
    default=60,
    show_default=True,
    type=click.IntRange(1, 7 * 24 * 60),
    help="For how long; afterwards each process goes by its own setting again.",
)
def level_(level: str | None, minutes: int) -> None:
    """Choose how much all processes log, without a restart.

    It holds within some seconds; `default` lets each go by MAILROOM_LOG_LEVEL again. Without a level, show the choice.
    """
    made = services()
    if level is None:
        _answer(log_level.chosen(made.db, now=datetime.now(UTC)))
    elif level == _OWN:
        log_level.forget(made.db, by=actor())
        _answer(None)
    else:
        _answer(log_level.choose(made.db, level, lasts=timedelta(minutes=minutes), by=actor()))


def _answer(chosen: ChosenLevel | None) -> None:
    def show(_: Body) -> None:
        if chosen is None:
            click.echo("Each process logs at its own MAILROOM_LOG_LEVEL.")
        else:
            until = f"{chosen.until:%Y-%m-%d %H:%M:%S} UTC"
            click.echo(f"All processes log at {chosen.level} until {until}, by {chosen.by}.")

    until = chosen.until.isoformat() if chosen else None
    answer_plainly({"level": chosen.level if chosen else None, "until": until, "by": chosen and chosen.by}, show)
