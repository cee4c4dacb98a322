"""`mailroom emails batch`: many single mails of one file, answered one by one."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from cli.answers import Body, answer
from cli.bodies import BODY, document_of, loaded
from cli.command_table import Answering
from cli.common import actor, prepared_services
from cli.progress import progress
from cli.tables import printable
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_VALUES_OF_A_BATCH
from mailroom.services.mails.accept import AcceptedMail
from scheduler_api import batches
from scheduler_api.schemas import email_drafts
from scheduler_api.schemas import emails as schemas


@click.command("batch", cls=Answering)
@BODY
@click.option("--key", help="An Idempotency-Key: the same command again finds the same mails.")
def batch(file: Any, key: str | None) -> None:
    """Hand in up to 1,000 mails of a JSON file, {"emails": [...]}, or of standard input (-). Prints their ids.

    The fields are those of POST /v1/emails/batch. A wrong mail is reported, and stops no other: exit 1.
    """
    document = document_of(file, most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_BATCH, reader=batches.read_batch)
    mails = loaded(email_drafts.BatchIn(), document)["emails"]
    outbox = prepared_services().outbox

    def hand_in(drafts: Sequence[batches.KeyedDraft]) -> list[AcceptedMail | Exception]:
        with progress("Handing in"):
            return outbox.hand_in_many(drafts, owner=actor())

    items = batches.answers(outbox, mails, key=key, hand_in=hand_in)
    answer(schemas.BatchOut, {"items": items}, _show)
    if any("problem" in item for item in items):
        sys.exit(1)


def _show(body: Body) -> None:
    for index, item in enumerate(body["items"]):
        if problem := item.get("problem"):
            faults = "; ".join(f"{fault['path']}: {fault['message']}" for fault in problem.get("errors", ()))
            click.echo(printable(f"emails[{index}]: {faults or problem.get('detail') or problem['title']}"), err=True)
        else:
            click.echo(item["id"])
