"""`mailroom emails`: single mails, looked at, handed in whole, cancelled and sent again."""

import secrets
from datetime import datetime
from typing import Any

import click

from cli.accepted_mail import answer_accepted
from cli.answers import Body, answer
from cli.bodies import BODY, document_of, loaded
from cli.command_table import Noun
from cli.common import actor, prepared_services, services
from cli.email_batches import batch
from cli.messages import print_steps
from cli.paging import choice_of, moment, paged
from cli.questions import asks, confirm
from cli.tables import print_fields, print_page, print_rows
from mailroom.domain.errors import Fault, InvalidInput, NobodyLeft
from mailroom.domain.ids import EmailId
from mailroom.domain.limits import MAX_MAIL_BODY_BYTES
from mailroom.domain.messages.states import MessageState
from mailroom.domain.searches import EmailSearch
from mailroom.domain.words import counted
from mailroom.services.common import sending_switch
from mailroom.services.mails import accept, view
from mailroom.services.mails import counts as mail_counts
from mailroom.services.resending import mails as resend_mails
from mailroom.storage.database import Db
from scheduler_api import paging
from scheduler_api.schemas import email_drafts, stand_ins
from scheduler_api.schemas import emails as schemas
from scheduler_api.schemas import searches as search_schemas
from scheduler_api.schemas.messages import step


@click.group("emails", cls=Noun)
def emails_() -> None:
    """Single mails: list, show, cancel, send again."""


emails_.add_command(batch)


@emails_.command("list")
@click.option("--recipient", help="To this address.")
@click.option("--tag")
@click.option(
    "--status", type=choice_of(MessageState), help="Mails with a recipient in this state; no other filter beside it."
)
@click.option("--since", callback=moment, help="Handed in at this time or later: ISO 8601 with an offset.")
@click.option("--until", callback=moment, help="Handed in before this time.")
@click.option("--total", "counted_too", is_flag=True, help="Say how many are found; not of a state.")
@paged
def list_emails(
    recipient: str | None,
    tag: str | None,
    status: str | None,
    since: datetime | None,
    until: datetime | None,
    counted_too: bool,
    limit: int,
    cursor: str | None,
) -> None:
    """Single mails, the newest first."""
    search, before = EmailSearch(recipient, tag, since, until), paging.decode_time_and_id(cursor)
    if status and search != EmailSearch():
        raise InvalidInput(Fault("status", "cannot be asked for together with something else"))
    db = services().db
    body = _in_state(db, status, before, limit) if status else _found(db, search, before, limit)
    total = search_schemas.total(mail_counts.count(db, search) if counted_too and not status else None)
    answer(search_schemas.CountedEmailPage, body | total, _show_page)


@emails_.command("show")
@click.argument("email_id")
def show_email(email_id: str) -> None:
    """A mail: its state, and that of each recipient; and why it waits, where all sending is stopped."""
    db = services().db
    shown = schemas.whole_email(view.get(db, EmailId(email_id)))
    waits = shown["status"] == MessageState.QUEUED
    answer(schemas.WholeEmailOut, shown | {"waits_because": sending_switch.why_stopped(db) if waits else None}, _show)


@emails_.command("events")
@click.argument("email_id")
def events(email_id: str) -> None:
    """Everything that happened to a mail, in order: each step of its calls, each event of the provider."""
    steps = view.events_of(services().db, EmailId(email_id))
    answer(schemas.Events, {"items": [step(one) for one in steps]}, print_steps)


@emails_.command("create")
@BODY
@click.option("--key", help="An Idempotency-Key: the same command again finds the same mail.")
def create_email(file: Any, key: str | None) -> None:
    """Hand in a mail of a JSON file, or of standard input (-). Prints its id, alone, on standard output.

    The fields are those of POST /v1/emails.
    """
    document = document_of(file, most=MAX_MAIL_BODY_BYTES)
    made = prepared_services()
    body = loaded(
        email_drafts.EmailIn(), document, further=lambda asked, _: made.outbox.faults_of(stand_ins.email(asked))
    )
    answer_accepted(made.outbox.hand_in(email_drafts.draft(body), owner=actor(), key=key))


@emails_.command("cancel")
@click.argument("email_id")
@asks
def cancel_email(email_id: str) -> None:
    """Cancel a mail. Refused if it was sent, or if its call is under way: then the mail is at least not tried again."""
    db, id_ = services().db, EmailId(email_id)
    shown = view.get(db, id_)
    recipients = counted(len(shown.recipients), "recipient")
    if shown.state is not MessageState.CANCELLED:
        confirm(f"Cancel “{shown.email.subject}” to {recipients}?", "A cancelled email cannot be brought back.")

    def show(_: Body) -> None:
        click.echo("cancelled: it is not sent")

    answer(schemas.WholeEmailOut, schemas.whole_email(view.cancel(db, id_)), show)


@emails_.command("send-again")
@click.argument("email_id")
@click.option("--key", help="An Idempotency-Key: the same command again finds the same mail.")
@asks
def mail_again(email_id: str, key: str | None) -> None:
    """Send the mail again to exactly the recipients that it did not reach. Prints the new mail's id, alone."""
    made, id_ = services(), EmailId(email_id)
    subject, left = view.get(made.db, id_).email.subject, resend_mails.left(made.db, id_)
    if not left and key is None:
        raise NobodyLeft(f"mail {email_id}")
    confirm(f"Resend “{subject}” to {counted(left, 'recipient')}?", "Suppressed addresses are excluded.")
    lanes, key = made.settings.sending.mail_lanes, key or secrets.token_hex(16)
    again = resend_mails.send_again(made.db, id_, owner=actor(), key=key, lanes=lanes, files=made.bodies)
    answer_accepted(accept.taken_before(made.db, again[0]))


def _found(db: Db, search: EmailSearch, before: tuple[datetime, str] | None, limit: int) -> Body:
    shown = view.page(db, search, before=before, limit=limit)
    return paging.page_of(shown, limit, schemas.email, lambda one: [one.email.created_at, one.email.id])


def _in_state(db: Db, status: str, before: tuple[datetime, str] | None, limit: int) -> Body:
    shown, last = view.page_in_state(db, MessageState(status), before=before, limit=limit)
    return {"items": [schemas.email(one) for one in shown], "next_cursor": paging.encode(*last) if last else None}


def _show_page(body: Body) -> None:
    columns = {"id": "id", "handed in": "created_at", "to": "to", "subject": "subject", "state": "status"}
    print_page(body, columns)


def _show(body: Body) -> None:
    print_fields({name: value for name, value in body.items() if name != "recipients"})
    columns = {"recipient": "address", "state": "status", "tries": "tries", "code": "code", "why": "reason"}
    print_rows(body["recipients"], columns)
