"""Store single mails: the envelope, the body, a message for each recipient, and a dispatch for all recipients that are
not suppressed.
"""

from collections.abc import Sequence
from datetime import datetime

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.emails.model import RANK_OF
from mailroom.domain.ids import digest_of_messages, dispatch_id, message_id, run_of_email
from mailroom.domain.lane_names import mail_lane
from mailroom.domain.messages.model import Message
from mailroom.domain.messages.states import MessageState
from mailroom.domain.shares import common_domain
from mailroom.storage.database import Db, Document, Session
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.mails import bodies, emails
from mailroom.storage.mails.emails import NewEmail
from mailroom.storage.messages import document as messages


def store_mails(
    db: Db, fresh: Sequence[tuple[NewEmail, Document]], *, lanes: int, now: datetime, session: Session
) -> None:
    """Store these mails in the transaction, each with its body from `bodies.put_aside`. Raises AlreadyThere."""
    if not fresh:
        return
    emails.add_many(db, [new for new, _ in fresh], now=now, session=session)
    bodies.add_many(db, [(body, max(now, new.email.send_at or now)) for new, body in fresh], session=session)
    messages.add_many(db, [m for new, _ in fresh for m in _messages(new)], session=session, created_at=now)
    fresh_dispatches = [_dispatch(new, lanes, to_send) for new, _ in fresh if (to_send := _to_send(new))]
    dispatches.add_many(db, fresh_dispatches, now=now, session=session)


def _messages(new: NewEmail) -> list[Message]:
    run = run_of_email(new.id)
    return [
        Message(
            id=message_id(run, recipient.mailbox.address),
            run_id=run,
            dispatch_id=None if reason else dispatch_id(run, 0),
            address=recipient.mailbox.address,
            name=recipient.mailbox.name,
            parts={},
            state=MessageState.SUPPRESSED if reason else MessageState.QUEUED,
            reason=reason,
            place=recipient.place,
        )
        for recipient in new.recipients
        for reason in [new.suppressed.get(fold(recipient.mailbox.address), "")]
    ]


def _to_send(new: NewEmail) -> list[str]:
    """The addresses to send to. Empty if every recipient is suppressed: there is no dispatch then."""
    addresses = [recipient.mailbox.address for recipient in new.recipients]
    return [address for address in addresses if fold(address) not in new.suppressed]


def _dispatch(new: NewEmail, lanes: int, addresses: Sequence[str]) -> NewDispatch:
    run = run_of_email(new.id)
    ids = [message_id(run, address) for address in addresses]
    return NewDispatch(
        id=dispatch_id(run, 0),
        run_id=run,
        schedule_id=None,
        lane=mail_lane(new.id, lanes),
        chunk=0,
        revision=1,
        messages=len(ids),
        digest=digest_of_messages(ids),
        rank=RANK_OF[new.email.priority],
        size=new.email.body.size,
        not_before=new.email.send_at,
        on_doubt=new.email.on_doubt,
        due_at=new.email.send_at,
        trace=new.trace,
        domain=common_domain(addresses),
        is_test=new.email.is_test,
    )
