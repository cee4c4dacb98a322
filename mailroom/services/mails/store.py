"""A single mail as it is stored: its envelope, its body, a message for each recipient, and one dispatch for all who are
not suppressed.
"""

from collections.abc import Sequence
from datetime import datetime

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.emails.model import RANK_OF
from mailroom.domain.ids import MessageId, digest_of_messages, dispatch_id, mail_lane, message_id, run_of_email
from mailroom.domain.messages import Message, MessageState
from mailroom.storage.database import Db, Document, Session
from mailroom.storage.dispatches import document as dispatches
from mailroom.storage.mails import bodies, emails
from mailroom.storage.mails.emails import NewEmail
from mailroom.storage.messages import document as messages


def place(db: Db, fresh: Sequence[tuple[NewEmail, Document]], *, lanes: int, now: datetime, session: Session) -> None:
    """Store these mails, with their bodies as `bodies.put_aside` has them. Raises AlreadyThere."""
    if not fresh:
        return
    emails.add_many(db, [new for new, _ in fresh], now=now, session=session)
    bodies.add_many(db, [(body, max(now, new.email.send_at or now)) for new, body in fresh], session=session)
    messages.add_many(db, [m for new, _ in fresh for m in _messages(new)], session=session, created_at=now)
    news = [_dispatch(new, lanes, ids) for new, _ in fresh if (ids := _to_send(new))]
    dispatches.add_many(db, news, now=now, session=session)


def _messages(new: NewEmail) -> list[Message]:
    run = run_of_email(new.id)
    return [
        Message(
            id=message_id(run, one.mailbox.address),
            run_id=run,
            dispatch_id=None if reason else dispatch_id(run, 0),
            address=one.mailbox.address,
            name=one.mailbox.name,
            parts={},
            state=MessageState.SUPPRESSED if reason else MessageState.QUEUED,
            reason=reason,
            place=one.place,
        )
        for one in new.recipients
        for reason in [new.suppressed.get(fold(one.mailbox.address), "")]
    ]


def _to_send(new: NewEmail) -> list[MessageId]:
    """Nobody where everybody is suppressed: then there is nothing to call for."""
    run, mailboxes = run_of_email(new.id), [one.mailbox for one in new.recipients]
    return [message_id(run, one.address) for one in mailboxes if fold(one.address) not in new.suppressed]


def _dispatch(new: NewEmail, lanes: int, ids: Sequence[MessageId]) -> NewDispatch:
    run = run_of_email(new.id)
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
    )
