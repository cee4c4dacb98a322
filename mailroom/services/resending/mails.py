"""Resend a single mail to exactly the recipients that it did not reach."""

from collections.abc import Collection
from typing import Final

import structlog
from msgspec.structs import replace

from mailroom.domain.addresses import fold
from mailroom.domain.emails.model import OnDoubt
from mailroom.domain.errors import BodiesAway, EmailGone, ForgottenMeanwhile, NobodyLeft
from mailroom.domain.ids import EmailId, MessageId, again_email_id, again_email_prefix, run_of_dispatch, run_of_email
from mailroom.domain.sender_rules import SenderRule
from mailroom.domain.topics import scopes_of_mail
from mailroom.services.common import sender_rules
from mailroom.services.common.idempotency import check_key
from mailroom.services.mails.store import store_mails
from mailroom.storage import suppressions
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction, server_now
from mailroom.storage.mails import bodies, emails
from mailroom.storage.mails.emails import NewEmail
from mailroom.storage.messages import unreached
from mailroom.watching import traces
from mailroom.watching.accepting import accepted

log = structlog.get_logger()
_TRIES: Final = 5
_NOT_KEPT: Final = "the content of mail {} is no longer kept"
_MOST: Final = 1_000  # more recipients than a mail can have


class _MailChanged(Exception):
    """A message has changed since it was read: read again."""


def send_again(
    db: Db, email_id: EmailId, *, owner: str, key: str, lanes: int, files: BodyFiles | None = None
) -> tuple[EmailId, bool]:
    """Resend a mail to the recipients that it did not reach: the same content, and headers that name all recipients as
    before. Idempotent by `key`. No two resends carry the same recipient. `files`: None means GridFS.

    Returns (the new mail's id, whether it is new). Raises EmailNotFound, EmailGone, NobodyLeft, ForgottenMeanwhile,
    SendersTooOld, InvalidInput, Unavailable.
    """
    check_key(key)
    files = files or BodyFiles(db)
    source = emails.get(db, email_id)
    again_id = again_email_id(email_id, owner, key)
    if again_id in emails.get_many(db, [again_id]):
        return again_id, False
    forgotten = {run_of_dispatch(id_) for id_ in restored_fences.beginning_with(db, again_email_prefix(email_id))}
    if unknown := forgotten - {again_id} - emails.get_many(db, [EmailId(id_) for id_ in forgotten]).keys():
        raise ForgottenMeanwhile(f"MongoDB was put back to a copy that does not know of {', '.join(sorted(unknown))}")
    body = bodies.get_many(db, files, [email_id]).get(email_id)
    if isinstance(body, BodiesAway):
        raise body
    if body is None:
        raise EmailGone(_NOT_KEPT.format(email_id))
    if source.on_doubt is OnDoubt.ELSEWHERE:
        sender_rules.require(db, SenderRule.ELSEWHERE)
    if source.topic:
        sender_rules.require(db, SenderRule.TOPICS)
    for _ in range(_TRIES):
        missed = unreached.left(db, run_of_email(email_id), after="", limit=_MOST).messages
        if not missed:
            break
        only = frozenset(fold(message.address) for message in missed)
        email = replace(source.with_body(body), send_at=None)
        new = NewEmail(again_id, owner, "", email, only, email_id, trace=traces.current())
        new = replace(new, suppressed=suppressions.among(db, sorted(only), scopes_of_mail(source.topic)))
        if _store(db, files, new, email_id, [message.id for message in missed], lanes):
            accepted(email.priority)
            log.info("mail_again", email_id=again_id, source=email_id, recipients=len(missed), by=owner)
            return again_id, True
        if again_id in emails.get_many(db, [again_id]):
            return again_id, False
    raise NobodyLeft(f"mail {email_id}")


def left(db: Db, email_id: EmailId) -> int:
    """The number of recipients that the mail did not reach and that no other mail carries."""
    return len(unreached.left(db, run_of_email(email_id), after="", limit=_MOST).messages)


def _store(db: Db, files: BodyFiles, new: NewEmail, source: EmailId, missed: Collection[MessageId], lanes: int) -> bool:
    """Store the resend. False if a message has changed since it was read, or if the mail is stored already. Raises
    EmailGone."""
    stored, now = bodies.put_aside(files, new.id, new.email.body), server_now(db)

    def work(session: Session) -> None:
        if not unreached.take(db, missed, run_of_email(new.id), session=session):
            raise _MailChanged
        emails.note_repeat(db, source, session=session)
        if not bodies.kept_among(db, [source], session=session):  # somebody on it was erased meanwhile
            raise EmailGone(_NOT_KEPT.format(source))
        store_mails(db, [(new, stored)], lanes=lanes, now=now, session=session)

    try:
        in_transaction(db, work)
    except (_MailChanged, AlreadyThere):
        bodies.throw_away(files, stored)
        return False
    except EmailGone:
        bodies.throw_away(files, stored)
        raise
    return True
