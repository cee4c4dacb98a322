"""Take in one mail that was found in a mailbox: a bounce, a delay, a complaint, or a reader who leaves.

Whatever it says is stored in one transaction, once. So a mail may be taken in again, after a crash before its mark or
by two processes at once, and changes nothing more.
"""

from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from enum import StrEnum

from msgspec.structs import replace

from mailroom.domain.consent import BY_MAIL
from mailroom.domain.erasures import ERASED
from mailroom.domain.events import Event, EventKind
from mailroom.domain.repeated_events import Intake
from mailroom.domain.return_paths import ReturnPaths
from mailroom.domain.returned_mail.events import event_of
from mailroom.domain.returned_mail.judging import Judgement, feedback_type_of, judge
from mailroom.domain.returned_mail.reading import UnreadableMail, parsed
from mailroom.domain.returned_mail.unsubscribing import membership_of_link, membership_of_subject
from mailroom.domain.unsubscribe_links import UnsubscribeLinks
from mailroom.services.consent import membership as memberships
from mailroom.services.feedback import intake
from mailroom.storage.database import Db, server_now
from mailroom.storage.messages import document as messages


class MailResult(StrEnum):
    """What became of a mail in a mailbox."""

    BOUNCED = "bounced"
    DEFERRED = "deferred"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    NOTED = "noted"  # an automatic reply, a report of a delivery: stored, and changes no state of ours
    REPEATED = "repeated"  # it was taken in before
    LEFT = "left"  # it is nothing of ours, or cannot be read: a person may look at it


_RESULTS = {
    EventKind.BOUNCED: MailResult.BOUNCED,
    EventKind.DEFERRED: MailResult.DEFERRED,
    EventKind.COMPLAINED: MailResult.COMPLAINED,
}


@dataclass(frozen=True, slots=True)
class Recognition:
    """The keys by which mails are recognised as ours."""

    paths: ReturnPaths
    links: UnsubscribeLinks


@dataclass(frozen=True, slots=True)
class TakenMail:
    """`why`: why a mail was left, for the log; '' for any other."""

    result: MailResult
    why: str = ""


def take_in(db: Db, raw: bytes, recognition: Recognition) -> TakenMail:
    """Store and apply what this mail says. Raises Unavailable."""
    try:
        mail = parsed(raw)
    except UnreadableMail as error:
        return TakenMail(MailResult.LEFT, str(error))
    if membership := membership_of_subject(mail, recognition.links):
        new = memberships.leave(db, membership, membership.topic, by=BY_MAIL)
        return TakenMail(MailResult.UNSUBSCRIBED if new else MailResult.REPEATED)
    now = server_now(db)
    event = _event(db, mail, raw, recognition, now)
    if isinstance(event, str):
        return TakenMail(MailResult.LEFT, event)
    (answer,) = intake.take_in(db, [event], now=now)
    repeated = answer is not Intake.STORED
    return TakenMail(MailResult.REPEATED if repeated else _RESULTS.get(event.kind, MailResult.NOTED))


def _event(db: Db, mail: Message, raw: bytes, recognition: Recognition, now: datetime) -> Event | str:
    """What the mail says, or why it is none of ours."""
    name = recognition.paths.find(raw)
    if name is None:
        return _complaint(mail, raw, recognition, now) or "it names no mail of ours"
    judgement = judge(mail)
    if judgement is None:
        return "it came to a return path, and is neither a bounce nor an automatic reply"
    message = messages.named(db, name)
    if message is None:
        return f"the mail of {name.run} that it names is not stored"
    event = event_of(
        judgement, mail, raw, address=message.address, run=message.run_id, dispatch=message.dispatch_id, now=now
    )
    return replace(event, message=message.id) if message.address == ERASED else event


def _complaint(mail: Message, raw: bytes, recognition: Recognition, now: datetime) -> Event | None:
    """A complaint about a mail that went by another provider, known by the link in it; None for any other mail."""
    if feedback_type_of(mail) is None:
        return None
    judgement, membership = judge(mail), membership_of_link(raw, recognition.links)
    if membership is None or not isinstance(judgement, Judgement):
        return None
    return event_of(judgement, mail, raw, address=membership.address, run=membership.run, dispatch=None, now=now)
