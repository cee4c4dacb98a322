"""The answer of a command that asks for a run."""

import click

from cli.answers import Body, answer, print_id
from mailroom.domain.runs import Run
from mailroom.services.common import sending_switch
from mailroom.storage.database import Db
from scheduler_api.schemas import runs as schemas


def answer_asked_run(db: Db, run: Run) -> None:
    """Answer with the run's id, and on standard error with why it waits, if all sending is stopped."""
    answer(schemas.OneRunOut, schemas.one_run(run, sending_switch.why_stopped(db)), _show)


def _show(body: Body) -> None:
    if reason := body["waits_because"]:
        click.echo(f"The run waits: {reason[:1].lower()}{reason[1:]}.", err=True)
    print_id(body)
