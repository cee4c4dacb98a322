"""A single mail once more, to those of its recipients whom it did not reach, and to nobody else."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.errors import EmailGone, ForgottenMeanwhile, NobodyLeft
from mailroom.domain.ids import EmailId, again_email_id, again_email_prefix, run_of_dispatch, run_of_email
from mailroom.domain.suppressions import OF_SINGLE_MAILS
from mailroom.services.common.idempotency import check_key
from mailroom.services.mails.store import place
from mailroom.storage import suppressions
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction, server_now
from mailroom.storage.mails import bodies, emails
from mailroom.storage.mails.emails import NewEmail
from mailroom.storage.messages import unreached

log = structlog.get_logger()
_TRIES: Final = 5
_MOST: Final = 1_000  # more recipients than a mail can have


class _MailMoved(Exception):
    """One of them is not as it was read: look again."""


def send_again(db: Db, email_id: EmailId, *, owner: str, key: str, lanes: int) -> tuple[EmailId, bool]:
    """The same content, its headers naming everybody as before, to those whom it did not reach. The same key again
    finds the same mail; whom one mail carries, no other does.

    Returns its id, and whether it is new. Raises EmailNotFound, EmailGone, NobodyLeft, ForgottenMeanwhile,
    InvalidInput, Unavailable.
    """
    check_key(key)
    source = emails.get(db, email_id)
    again_id = again_email_id(email_id, owner, key)
    if again_id in emails.get_many(db, [again_id]):
        return again_id, False
    forgotten = {run_of_dispatch(id_) for id_ in restored_fences.beginning_with(db, again_email_prefix(email_id))}
    if unknown := forgotten - {again_id} - emails.get_many(db, [EmailId(id_) for id_ in forgotten]).keys():
        raise ForgottenMeanwhile(f"MongoDB was put back to a copy that does not know of {', '.join(sorted(unknown))}")
    body = bodies.get_many(db, [email_id]).get(email_id)
    if body is None:
        raise EmailGone(f"what mail {email_id} says is not kept any more")
    for _ in range(_TRIES):
        rows, _ = unreached.left(db, run_of_email(email_id), after="", limit=_MOST)
        if not rows:
            break
        only = frozenset(fold(row["address"]) for row in rows)
        email = replace(emails.as_email(source, body), send_at=None)
        new = NewEmail(again_id, owner, "", email, only, email_id)
        new = replace(new, suppressed=suppressions.among(db, sorted(only), OF_SINGLE_MAILS))
        if _store(db, new, rows, lanes):
            log.info("mail_again", email_id=again_id, source=email_id, recipients=len(rows), by=owner)
            return again_id, True
        if again_id in emails.get_many(db, [again_id]):
            return again_id, False
    raise NobodyLeft(f"there is nobody left whom mail {email_id} did not reach")


def left(db: Db, email_id: EmailId) -> int:
    """How many of its recipients it did not reach, and no other mail carries."""
    return len(unreached.left(db, run_of_email(email_id), after="", limit=_MOST)[0])


def _store(db: Db, new: NewEmail, rows: Sequence[Mapping[str, Any]], lanes: int) -> bool:
    """False if something has changed since it was read."""
    stored, now = bodies.put_aside(db, new.id, new.email.body), server_now(db)

    def work(session: Session) -> None:
        if not unreached.take(db, rows, run_of_email(new.id), session=session):
            raise _MailMoved
        place(db, [(new, stored)], lanes=lanes, now=now, session=session)

    try:
        in_transaction(db, work)
    except (_MailMoved, AlreadyThere):
        bodies.throw_away(db, stored)
        return False
    return True
