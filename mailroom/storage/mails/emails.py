"""Collection `emails`: one document a single mail, without what it says (collection `bodies`).

    _id             email id; made from owner and key where an Idempotency-Key was given
    owner           id of the token that handed it over
    request_digest  of the request, where a key was given
    sender, reply_to, subject, tags, metadata, priority
    addressees      list of {address, name, place}; place is to, cc or bcc
    recipients      the folded addresses of those whom it goes to: all of these, but of one with a source
    source          the mail that did not reach them
    suppressed      list of {address, reason}, one a recipient; a recipient without a reason gets the mail. Absent where
                    nobody was suppressed when the mail was accepted
    size            bytes of its body
    send_at         not before; absent for at once
    created_at      when it was accepted; it is kept for the retention time from then on

Inserted by the API in the transaction that also inserts the body, the messages and the dispatch; never changed.

Indexes: `created_at` for the list, and for the retention; `recipients` and `tags` with it, to search.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final

from pymongo import DESCENDING, IndexModel

from mailroom.domain.addresses import Mailbox, fold
from mailroom.domain.emails.model import Addressee, Body, Email, Place, Priority
from mailroom.domain.errors import EmailNotFound
from mailroom.domain.ids import EmailId
from mailroom.domain.searches import EmailSearch
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded, insert_new

COLLECTION: Final = "emails"
_SOME: Final = 1_000
_NEWEST: Final = [("created_at", DESCENDING), ("_id", DESCENDING)]
INDEXES: Final[Sequence[IndexModel]] = (
    IndexModel(_NEWEST),
    IndexModel([("recipients", 1), *_NEWEST]),
    IndexModel([("tags", 1), *_NEWEST]),
)


@dataclass(frozen=True, slots=True)
class NewEmail:
    """A mail as it is handed in.

    `digest`: of the request; '' without an Idempotency-Key. `only`: the folded addresses that it goes to, if it repeats
    `source` for the recipients that `source` did not reach. `suppressed`: reasons by folded address; these recipients
    get nothing.
    """

    id: EmailId
    owner: str
    digest: str
    email: Email
    only: frozenset[str] | None = None
    source: EmailId | None = None
    suppressed: Mapping[str, str] = field(default_factory=dict)

    @property
    def recipients(self) -> list[Addressee]:
        """To whom it goes, whoever its headers name."""
        everybody = self.email.addressees
        return [one for one in everybody if self.only is None or fold(one.mailbox.address) in self.only]


@dataclass(frozen=True, slots=True)
class StoredEmail:
    """A stored mail: the digest of its request; `recipients` only if some of them were suppressed."""

    digest: str
    recipients: Sequence[tuple[str, str | None]] = ()  # address, and the reason if it is suppressed


def recipients_told(new: NewEmail) -> list[tuple[str, str | None]]:
    """The `recipients` of `StoredEmail` for a new mail; empty if nobody is suppressed."""
    if not new.suppressed:
        return []
    everybody = [one.mailbox.address for one in new.recipients]
    return [(address, new.suppressed.get(fold(address))) for address in everybody]


def known(db: Db, ids: Sequence[EmailId], *, session: Session | None = None) -> dict[EmailId, StoredEmail]:
    """Those of the mails that are stored."""
    fields = {"request_digest": 1, "suppressed": 1}
    found = db.emails.find({"_id": {"$in": list(ids)}}, fields, session=session)
    return {EmailId(doc["_id"]): StoredEmail(doc.get("request_digest", ""), _told(doc)) for doc in found}


def _told(doc: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    return [(one["address"], one.get("reason")) for one in doc.get("suppressed", ())]


def add_many(db: Db, new: Sequence[NewEmail], *, now: datetime, session: Session) -> None:
    """Raises AlreadyThere."""
    insert_new(db.emails, [_document(one, now) for one in new], session)


def created_between(db: Db, since: datetime, until: datetime) -> Iterator[dict[EmailId, int]]:
    """Mails that were accepted in this time, oldest first, some at a time: to how many each goes."""
    query = {"created_at": {"$gte": since, "$lt": until}}
    rows = iter(db.emails.find(query, {"recipients": 1}).sort("created_at", 1))
    while some := list(islice(rows, _SOME)):
        yield {EmailId(doc["_id"]): len(doc["recipients"]) for doc in some}


@guarded
def get(db: Db, email_id: EmailId) -> Mapping[str, Any]:
    """The whole document. Raises EmailNotFound."""
    doc = db.emails.find_one({"_id": email_id})
    if doc is None:
        raise EmailNotFound(email_id)
    return doc


@guarded
def get_many(db: Db, ids: Sequence[EmailId]) -> dict[EmailId, Mapping[str, Any]]:
    return {EmailId(doc["_id"]): doc for doc in db.emails.find({"_id": {"$in": list(ids)}})}


@guarded
def page(db: Db, search: EmailSearch, *, before: tuple[datetime, str] | None, limit: int) -> list[Mapping[str, Any]]:
    """Newest first. `before` is the last row of the page before."""
    query: Document = {}
    if search.recipient:
        query["recipients"] = fold(search.recipient)
    if search.tag:
        query["tags"] = search.tag
    times = drop_unset({"$gte": search.since, "$lt": search.until})
    if times:
        query["created_at"] = times
    if before:
        at, id_ = before
        query["$or"] = [{"created_at": {"$lt": at}}, {"created_at": at, "_id": {"$lt": id_}}]
    return list(db.emails.find(query).sort(_NEWEST).limit(limit))


def as_email(doc: Mapping[str, Any], body: Body) -> Email:
    """A stored mail as it is to be sent."""
    return Email(
        sender=doc["sender"],
        reply_to=doc["reply_to"],
        addressees=addressees_of(doc),
        subject=doc["subject"],
        body=body,
        tags=tuple(doc["tags"]),
        metadata=doc["metadata"],
        priority=Priority(doc["priority"]),
        send_at=doc.get("send_at"),
    )


def addressees_of(doc: Mapping[str, Any]) -> list[Addressee]:
    return [Addressee(Mailbox(one["address"], one["name"]), Place(one["place"])) for one in doc["addressees"]]


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
            "size": email.body.size,
            "send_at": email.send_at,
            "created_at": now,
        }
    )
