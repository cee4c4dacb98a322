"""A single mail as it is stored: its envelope, its body, a message for each recipient, and one dispatch for all."""

from collections.abc import Sequence
from datetime import datetime

from mailroom.domain.dispatches import NewDispatch
from mailroom.domain.emails.model import RANK_OF
from mailroom.domain.ids import digest_of_messages, dispatch_id, mail_lane, message_id, run_of_email
from mailroom.domain.messages import Message
from mailroom.storage import bodies, dispatches, emails, messages
from mailroom.storage.database import Db, Document, Session
from mailroom.storage.emails import NewEmail


def place(db: Db, fresh: Sequence[tuple[NewEmail, Document]], *, lanes: int, now: datetime, session: Session) -> None:
    """Store these mails, with their bodies as `bodies.put_aside` has them. Raises AlreadyThere."""
    if not fresh:
        return
    emails.add_many(db, [new for new, _ in fresh], now=now, session=session)
    bodies.add_many(db, [(body, max(now, new.email.send_at or now)) for new, body in fresh], session=session)
    messages.add_many(db, [m for new, _ in fresh for m in _messages(new)], session=session, created_at=now)
    dispatches.add_many(db, [_dispatch(new, lanes) for new, _ in fresh], now=now, session=session)


def _messages(new: NewEmail) -> list[Message]:
    run = run_of_email(new.id)
    return [
        Message(
            id=message_id(run, one.mailbox.address),
            run_id=run,
            dispatch_id=dispatch_id(run, 0),
            address=one.mailbox.address,
            name=one.mailbox.name,
            parts={},
            place=one.place,
        )
        for one in new.recipients
    ]


def _dispatch(new: NewEmail, lanes: int) -> NewDispatch:
    run = run_of_email(new.id)
    ids = [message_id(run, one.mailbox.address) for one in new.recipients]
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
