"""The answer to pausing, resuming, cancelling and archiving: the change, and the counts of the mails."""

from typing import Any

import click
from marshmallow import Schema

from cli.answers import Body, answer
from mailroom.services.schedules import pause as schedule_pause
from mailroom.services.schedules.pause import Toll
from scheduler_api.schemas.tolls import with_toll


def answer_with_toll(schema: type[Schema], shown: dict[str, Any], done: str, toll: Toll) -> None:
    """Answer with the changed run or schedule. `done`: the change in a word."""

    def show(_: Body) -> None:
        click.echo(f"{done}. {schedule_pause.in_words(toll)}".strip())

    answer(schema, with_toll(shown, toll), show)
