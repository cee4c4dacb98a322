"""The answer to a single mail that was handed in."""

import click

from cli.answers import Body, answer
from mailroom.services.mails.accept import AcceptedMail
from scheduler_api.schemas import emails as schemas


def answer_accepted(mail: AcceptedMail) -> None:
    """Answer with the mail's id, and on standard error with the recipients who get nothing."""
    answer(schemas.TakenOut, schemas.taken(mail), _show)


def _show(body: Body) -> None:
    for recipient in body.get("recipients", ()):
        if reason := recipient.get("reason"):
            click.echo(f"{recipient['address']} gets nothing: {reason}", err=True)
    click.echo(body["id"])
