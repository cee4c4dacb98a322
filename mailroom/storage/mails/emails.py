"""Collection `emails`: one document a single mail, without what it says (collection `bodies`).

    _id             email id; made from owner and key where an Idempotency-Key was given
    owner           id of the token that handed it over
    request_digest  of the request, where a key was given
    sender, reply_to, subject, tags, metadata, priority
    addressees      list of {address, name, place}; place is to, cc or bcc
    recipients      the folded addresses that the mail goes to: all of these, but of one with a source
    on_doubt        `elsewhere`; absent for `wait`
    test            true for a test send of a campaign; absent otherwise
    topic           absent where the mail needs no consent
    template        the version that it was made of (see template_pins.py); absent without a template
    source          the mail that did not reach them
    suppressed      list of {address, reason}, one a recipient; a recipient without a reason gets the mail. Absent where
                    nobody was suppressed when the mail was accepted
    size            bytes of its body
    send_at         not before; absent for at once
    created_at      when it was accepted; it is kept for the retention time from then on
    repeats         how many mails repeat it for those whom it did not reach; absent for none

Inserted by the API in the transaction that also inserts the body, the messages and the dispatch. Later only repeats are
counted, and persons erased (see erasing.py).

Indexes: `created_at` for the list, and for the retention; `recipients` and `tags` with it, to search.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from msgspec import Struct, field
from pymongo import ASCENDING, DESCENDING, IndexModel

from mailroom.domain.addresses import Mailbox, fold
from mailroom.domain.emails.model import Addressee, Email, OnDoubt, Place, Priority, StoredEmail
from mailroom.domain.errors import EmailNotFound
from mailroom.domain.ids import EmailId
from mailroom.domain.searches import EmailOrder, EmailSearch
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded, insert_new
from mailroom.storage.long_readings import each_of
from mailroom.storage.template_pins import document_of, pin_of

COLLECTION: Final = "emails"
_SOME: Final = 250
_NEWEST: Final = [("created_at", DESCENDING), ("_id", DESCENDING)]
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel(_NEWEST),
    IndexModel([("recipients", 1), *_NEWEST]),
    IndexModel([("tags", 1), *_NEWEST]),
)


class NewEmail(Struct, frozen=True):
    """A mail as it is handed in.

    `digest`: of the request; '' without an Idempotency-Key. `only`: the folded addresses that it goes to, if it repeats
    `source` for the recipients that `source` did not reach. `suppressed`: reasons by folded address; these recipients
    get nothing. `trace`: the request that handed it in (see watching/traces.py); '' if it is not traced.
    """

    id: EmailId
    owner: str
    digest: str
    email: Email
    only: frozenset[str] | None = None
    source: EmailId | None = None
    suppressed: Mapping[str, str] = field(default_factory=dict)
    trace: str = ""

    @property
    def recipients(self) -> list[Addressee]:
        """The addresses that the mail goes to, whatever addresses its headers name."""
        everybody = self.email.addressees
        return [one for one in everybody if self.only is None or fold(one.mailbox.address) in self.only]


class KnownEmail(Struct, frozen=True):
    """A stored mail: the digest of its request; `recipients` only if some of them were suppressed."""

    digest: str
    recipients: Sequence[tuple[str, str | None]] = ()  # address, and the reason if it is suppressed


def recipients_told(new: NewEmail) -> list[tuple[str, str | None]]:
    """The `recipients` of `KnownEmail` for a new mail; empty if nobody is suppressed."""
    if not new.suppressed:
        return []
    everybody = [one.mailbox.address for one in new.recipients]
    return [(address, new.suppressed.get(fold(address))) for address in everybody]


def known(db: Db, ids: Sequence[EmailId], *, session: Session | None = None) -> dict[EmailId, KnownEmail]:
    """The stored mails among these."""
    fields = {"request_digest": 1, "suppressed": 1}
    found = db.emails.find({"_id": {"$in": list(ids)}}, fields, session=session)
    return {EmailId(doc["_id"]): KnownEmail(doc.get("request_digest", ""), _told(doc)) for doc in found}


def _told(doc: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    return [(one["address"], one.get("reason")) for one in doc.get("suppressed", ())]


def add_many(db: Db, new: Sequence[NewEmail], *, now: datetime, session: Session) -> None:
    """Raises AlreadyThere."""
    insert_new(db.emails, [_document(one, now) for one in new], session)


def created_between(db: Db, since: datetime, until: datetime) -> Iterator[dict[EmailId, int]]:
    """Mails that were accepted in this time, oldest first, some at a time: to how many each goes.

    Raises Unavailable.
    """
    query = {"created_at": {"$gte": since, "$lt": until}}
    rows = each_of(db.emails.find(query, {"recipients": 1}).sort("created_at", 1))
    while some := list(islice(rows, _SOME)):
        yield {EmailId(doc["_id"]): len(doc["recipients"]) for doc in some}


@guarded
def get(db: Db, email_id: EmailId) -> StoredEmail:
    """Raises EmailNotFound."""
    doc = db.emails.find_one({"_id": email_id})
    if doc is None:
        raise EmailNotFound(email_id)
    return _stored(doc)


@guarded
def get_many(db: Db, ids: Sequence[EmailId]) -> dict[EmailId, StoredEmail]:
    return {EmailId(doc["_id"]): _stored(doc) for doc in db.emails.find({"_id": {"$in": list(ids)}})}


def note_repeat(db: Db, email_id: EmailId, *, session: Session) -> None:
    """Note in the transaction that makes a repeat of this mail that there is one: so of the repeat and an erasure in
    the mail, at the same moment, one is aborted."""
    db.emails.update_one({"_id": email_id}, {"$inc": {"repeats": 1}}, session=session)


@guarded
def get_each(db: Db, ids: Sequence[EmailId]) -> dict[EmailId, StoredEmail | Exception]:
    """The stored ones of these mails; instead of one that cannot be read, its fault, which concerns no other mail."""
    return {EmailId(doc["_id"]): _stored_or_fault(doc) for doc in db.emails.find({"_id": {"$in": list(ids)}})}


@guarded
def page(
    db: Db,
    search: EmailSearch,
    order: EmailOrder = EmailOrder.NEWEST,
    *,
    before: tuple[datetime, str] | None,
    limit: int,
) -> list[StoredEmail]:
    """`before` is the last row of the page before."""
    query: Document = {}
    if search.recipient:
        query["recipients"] = fold(search.recipient)
    if search.tag:
        query["tags"] = search.tag
    times = drop_unset({"$gte": search.since, "$lt": search.until})
    if times:
        query["created_at"] = times
    beyond, direction = ("$lt", DESCENDING) if order is EmailOrder.NEWEST else ("$gt", ASCENDING)
    if before:
        at, id_ = before
        query["$or"] = [{"created_at": {beyond: at}}, {"created_at": at, "_id": {beyond: id_}}]
    rows = db.emails.find(query).sort([("created_at", direction), ("_id", direction)]).limit(limit)
    return [_stored(doc) for doc in rows]


def _document(new: NewEmail, now: datetime) -> Document:
    email = new.email
    return drop_unset(
        {
            "_id": new.id,
            "owner": new.owner,
            "request_digest": new.digest or None,
            "sender": email.sender,
            "reply_to": email.reply_to,
            "subject": email.subject,
            "addressees": [
                {"address": one.mailbox.address, "name": one.mailbox.name, "place": one.place}
                for one in email.addressees
            ],
            "recipients": [fold(one.mailbox.address) for one in new.recipients],
            "source": new.source,
            "suppressed": [drop_unset({"address": address, "reason": why}) for address, why in recipients_told(new)]
            or None,
            "tags": list(email.tags),
            "metadata": dict(email.metadata),
            "priority": email.priority,
            "on_doubt": email.on_doubt if email.on_doubt is not OnDoubt.WAIT else None,
            "test": email.is_test or None,
            "topic": email.topic or None,
            "template": document_of(email.template),
            "size": email.body.size,
            "send_at": email.send_at,
            "created_at": now,
        }
    )


def _stored(doc: Mapping[str, Any]) -> StoredEmail:
    return StoredEmail(
        id=EmailId(doc["_id"]),
        sender=doc["sender"],
        reply_to=doc["reply_to"],
        addressees=[Addressee(Mailbox(to["address"], to["name"]), Place(to["place"])) for to in doc["addressees"]],
        recipients=doc["recipients"],
        source=doc.get("source"),
        subject=doc["subject"],
        tags=doc["tags"],
        metadata=doc["metadata"],
        priority=Priority(doc["priority"]),
        on_doubt=OnDoubt(doc.get("on_doubt", OnDoubt.WAIT)),
        is_test=doc.get("test", False),
        topic=doc.get("topic", ""),
        template=pin_of(doc.get("template")),
        size=doc["size"],
        send_at=doc.get("send_at"),
        created_at=doc["created_at"],
    )


def _stored_or_fault(doc: Mapping[str, Any]) -> StoredEmail | Exception:
    try:
        return _stored(doc)
    except Exception as fault:  # whatever a bug of ours has left there
        return fault
