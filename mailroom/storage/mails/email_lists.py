"""Short rows of single mails (see emails.py), for lists that show them beside something else."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pymongo import DESCENDING

from mailroom.domain.addresses import fold
from mailroom.domain.ids import EmailId
from mailroom.domain.searches import BoundedCount, EmailSearch
from mailroom.storage import paging
from mailroom.storage.database import Db, Document, drop_unset, guarded
from mailroom.storage.paging import Index, ListOrder, Place

_BY_TIME: Final[Index] = [("created_at", DESCENDING), ("_id", DESCENDING)]
_TO: Final[Index] = [("recipients", 1), *_BY_TIME]
_TAGGED: Final[Index] = [("tags", 1), *_BY_TIME]
_NEWEST: Final = ListOrder("created_at", DESCENDING)
_SHOWN: Final = {"created_at": 1, "subject": 1}


@dataclass(frozen=True, slots=True)
class EmailRow:
    id: EmailId
    created_at: datetime
    subject: str


@guarded
def to(db: Db, key: str, *, before: Place | None, limit: int) -> list[EmailRow]:
    """Single mails to a folded address, newest first. `before`: the time and id of the last row of the page before."""
    rows = paging.read(db.emails, {"recipients": key}, _NEWEST, index=_TO, after=before, limit=limit)
    return [EmailRow(EmailId(doc["_id"]), doc["created_at"], doc["subject"]) for doc in rows]


@guarded
def subjects(db: Db, ids: Collection[EmailId]) -> dict[EmailId, str]:
    """The subject of each of these single mails."""
    rows = db.emails.find({"_id": {"$in": sorted(ids)}}, {"subject": 1})
    return {EmailId(doc["_id"]): doc["subject"] for doc in rows}


@guarded
def addresses_from(db: Db, start: str, *, limit: int) -> list[str]:
    """The first folded addresses with this beginning among all recipients of single mails. One index lookup for
    each."""
    addresses: list[str] = []
    query: Document = {"$gte": start}
    while len(addresses) < limit:
        doc = db.emails.find_one(
            {"recipients": {"$elemMatch": {**query, "$lt": f"{start}\uffff"}}}, {"recipients": 1}, hint=list(_TO)
        )
        if doc is None:
            break
        following = (
            key for key in doc["recipients"] if key.startswith(start) and (not addresses or key > addresses[-1])
        )
        addresses.append(min(following))
        query = {"$gt": addresses[-1]}
    return addresses


@guarded
def count(db: Db, search: EmailSearch) -> BoundedCount:
    """How many single mails are found, as far as COUNTED. With a recipient and a tag both, mails to the recipient are
    looked at as far as that, and the count is exact only if there are no more of them."""
    times = drop_unset({"$gte": search.since, "$lt": search.until})
    query: Document = {"created_at": times} if times else {}
    if search.recipient is None:
        tagged = query if search.tag is None else query | {"tags": search.tag}
        return paging.count(db.emails, tagged, index=_BY_TIME if search.tag is None else _TAGGED)
    query["recipients"] = fold(search.recipient)
    to_them = paging.count(db.emails, query, index=_TO)
    if search.tag is None or not to_them.is_exact:
        return to_them
    return paging.count(db.emails, query | {"tags": search.tag}, index=_TO)
