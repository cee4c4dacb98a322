"""Collection `requests`: answered requests of the API, for their callers to look up, for the retention of the settings.

    _id       time of the newest entry and a random part, so that ids sort by time
    token     id of the token
    at        time of the newest entry
    entries   list of {id, at, method, route, status, ms}, newest first, at most MOST_ENTRIES; see
              domain/served_requests.py. Routes have no ids and no addresses in them

One document holds the requests of one token that one process wrote together, usually those of a second: a document for
each request would cost as much as the mails. Inserted by the API, acknowledged by one member: after a failover the last
second may be missing. Removed by its TTL (see retention.py).

Indexes: `token, _id` for the list of a token; `at` (TTL).
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from pymongo import DESCENDING, IndexModel
from pymongo.write_concern import WriteConcern

from mailroom.domain.served_requests import ServedRequest
from mailroom.storage.database import Db, Document, guarded, insert_once

COLLECTION: Final = "requests"
INDEXES: Final[Sequence[IndexModel]] = (IndexModel([("token", 1), ("_id", DESCENDING)], name="of_token"),)
MOST_ENTRIES: Final = 100
_ONE_MEMBER: Final = WriteConcern(w=1)
_SAME: Final = ("method", "route", "status", "ms")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Requests of one token that are written together, newest first."""

    id: str
    requests: Sequence[ServedRequest]


@dataclass(frozen=True, slots=True)
class EntryPlace:
    """The place of an entry in the list: the id of its bundle, and its number in it."""

    bundle: str
    number: int


def bundles_of(served: Sequence[ServedRequest]) -> Iterator[Bundle]:
    """Bundle these requests by token."""
    for _, group in groupby(sorted(served, key=lambda one: (one.token, one.at), reverse=True), lambda one: one.token):
        of_token = list(group)
        for start in range(0, len(of_token), MOST_ENTRIES):
            entries = of_token[start : start + MOST_ENTRIES]
            yield Bundle(f"{int(entries[0].at.timestamp() * 1000):011x}{secrets.token_hex(4)}", entries)


@guarded
def add_many(db: Db, bundles: Sequence[Bundle]) -> None:
    """May be repeated."""
    insert_once(db.requests.with_options(write_concern=_ONE_MEMBER), [_document(bundle) for bundle in bundles])


@guarded
def page(db: Db, token: str, *, before: EntryPlace | None, limit: int) -> list[tuple[EntryPlace, ServedRequest]]:
    """Requests of a token, newest first to about a second. `before`: the place of the last row of the page before."""
    query: Document = {"token": token}
    after_place: list[Document] = []
    if before:
        query["_id"] = {"$lte": before.bundle}
        later = [{"_id": {"$lt": before.bundle}}, {"number": {"$gt": before.number}}]
        after_place = [{"$match": {"$or": later}}]
    stages: list[Document] = [
        {"$match": query},
        {"$sort": {"_id": DESCENDING}},
        # Each bundle has an entry at least, and the first may have none that is left.
        {"$limit": limit + 1},
        {"$unwind": {"path": "$entries", "includeArrayIndex": "number"}},
        *after_place,
        {"$limit": limit},
    ]
    rows = db.requests.aggregate(stages, hint="of_token")
    return [(EntryPlace(row["_id"], int(row["number"])), _request(row)) for row in rows]


def _document(bundle: Bundle) -> Document:
    newest = bundle.requests[0]
    entries = [
        {"id": one.request_id, "at": one.at, **{name: getattr(one, name) for name in _SAME}} for one in bundle.requests
    ]
    return {"_id": bundle.id, "token": newest.token, "at": newest.at, "entries": entries}


def _request(row: Document) -> ServedRequest:
    entry = row["entries"]
    return ServedRequest(
        at=entry["at"],
        request_id=entry["id"],
        token=row["token"],
        **{name: entry[name] for name in _SAME},
    )
