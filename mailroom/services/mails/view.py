"""Single mails looked at and cancelled. Used by the API, the pages and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.calls import calls_for, newest_claimant
from mailroom.domain.dispatches.elsewhere import WentTwice
from mailroom.domain.emails.model import ShownBody, StoredEmail
from mailroom.domain.emails.status import last_change, overall, with_answer
from mailroom.domain.errors import EmailUnderWay
from mailroom.domain.ids import EmailId, MessageId, run_of_email
from mailroom.domain.limits import MAX_SHOWN
from mailroom.domain.messages.model import StoredMessage
from mailroom.domain.messages.states import MessageState
from mailroom.domain.searches import EmailOrder, EmailSearch
from mailroom.services.dispatching.propagation import propagate_states
from mailroom.services.reports import elsewhere
from mailroom.services.reports.timeline import TimelineStep, steps_of_messages
from mailroom.storage import providers
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.mails import bodies, emails
from mailroom.storage.messages import document as messages


@dataclass(frozen=True, slots=True)
class EmailView:
    """A mail as it stands: its state, and its recipients' messages, with the number of calls made for each."""

    email: StoredEmail
    state: MessageState
    recipients: Sequence[StoredMessage]
    tries: Mapping[MessageId, int]  #: empty in a list of mails
    worker: str | None = None  #: the sender that has the mail, or had it last; None in a list of mails
    went_twice: WentTwice | None = None  #: None: it did not go elsewhere; None in a list of mails, too


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeEmailView(EmailView):
    """One mail as it stands. The provider's answer is the reason of a recipient that it accepted.

    `updated_at`: the newest step of its calls, or event. `headers` are None once the body is not kept any more.
    """

    updated_at: datetime
    headers: Mapping[str, str] | None


def get(db: Db, email_id: EmailId) -> WholeEmailView:
    """Raises EmailNotFound."""
    email = emails.get(db, email_id)
    recipients = messages.of_emails(db, [email_id])[email_id]
    dispatches = dispatch_queries.of_email(db, email_id)
    answered = [with_answer(message, dispatches) for message in _why_queued(db, recipients)]
    return WholeEmailView(
        email=email,
        state=_state(recipients),
        recipients=_in_order(email, answered),
        tries={one.id: calls_for(one.dispatch_id, one.left_dispatch, dispatches) for one in recipients},
        worker=newest_claimant(dispatches.values()),
        went_twice=elsewhere.went_twice_of(list(dispatches.values())),
        updated_at=last_change(email.created_at, recipients, dispatches.values()),
        headers=bodies.headers_of(db, email_id),
    )


def body_of(db: Db, files: BodyFiles, email_id: EmailId) -> ShownBody | None:
    """The mail's content, cut to MAX_SHOWN characters a text; None once it is no longer kept. Raises Unavailable."""
    return bodies.shown(db, files, email_id, most=MAX_SHOWN)


def _why_queued(db: Db, recipients: Sequence[StoredMessage]) -> list[StoredMessage]:
    """The messages; a queued one without a reason of its own gets the faults of the providers as its reason."""
    waits = {message.id for message in recipients if message.state is MessageState.QUEUED and not message.reason}
    faults = providers.faults(db, now=server_now(db)) if waits else {}
    if not faults:
        return list(recipients)
    why = "; ".join(f"{name} takes nothing: {fault.why}" for name, fault in sorted(faults.items()))
    return [replace(message, reason=why) if message.id in waits else message for message in recipients]


def events_of(db: Db, email_id: EmailId) -> list[TimelineStep]:
    """Everything that happened to a mail, in order. Raises EmailNotFound."""
    emails.get(db, email_id)
    return steps_of_messages(db, messages.of_emails(db, [email_id])[email_id])


def page(
    db: Db,
    search: EmailSearch,
    order: EmailOrder = EmailOrder.NEWEST,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[EmailView]:
    """The mails that are found, without the numbers of calls. `before` is the last row of the page before."""
    found = emails.page(db, search, order, before=before, limit=limit)
    recipients = messages.of_emails(db, [email.id for email in found])
    return [_view(email, recipients[email.id]) for email in found]


def page_in_state(
    db: Db, state: MessageState, *, before: tuple[datetime, str] | None, limit: int
) -> tuple[list[EmailView], tuple[datetime, str] | None]:
    """Mails of which a recipient is in this state, newest first, and where the next page begins."""
    rows = messages.of_single_mails(db, state, before=before, limit=limit)
    ids = list(dict.fromkeys(row.email for row in rows))
    stored, recipients = emails.get_many(db, ids), messages.of_emails(db, ids)
    shown = [_view(stored[id_], recipients[id_]) for id_ in ids if id_ in stored]
    # After all of the last mail's recipients: it is shown once, however many of them are in this state.
    last = (rows[-1].created_at, f"{rows[-1].email}/") if len(rows) == limit else None
    return shown, last


def cancel(db: Db, email_id: EmailId) -> WholeEmailView:
    """Do not send it. Raises EmailNotFound; EmailUnderWay where it was sent or its call is under way: then it is at
    least not tried again."""
    emails.get(db, email_id)
    now = server_now(db)

    def work(session: Session) -> int:
        return dispatch_outcomes.cancel(db, run_of_email(email_id), now=now, session=session)

    cancelled = in_transaction(db, work)
    propagate_states(db, [dispatch.id for dispatch in dispatch_queries.of_emails(db, [email_id])])
    shown = get(db, email_id)
    went_elsewhere = shown.went_twice is not None  # its first call may have been accepted
    if (went_elsewhere or not cancelled) and shown.state is not MessageState.CANCELLED:
        raise EmailUnderWay(f"mail {email_id} is {shown.state.replace('_', ' ')}: it cannot be cancelled any more")
    return shown


def _view(email: StoredEmail, recipients: Sequence[StoredMessage]) -> EmailView:
    return EmailView(email, _state(recipients), _in_order(email, recipients), {})


def _state(recipients: Sequence[StoredMessage]) -> MessageState:
    return overall({message.state for message in recipients})


def _in_order(email: StoredEmail, recipients: Sequence[StoredMessage]) -> list[StoredMessage]:
    places = {key: number for number, key in enumerate(email.recipients)}
    return sorted(recipients, key=lambda message: places.get(fold(message.address), 0))
