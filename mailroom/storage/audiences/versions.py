"""Collection `audience_versions`: when each audience changed.

    _id     {"a": audience id, "v": the moment of the change}
    count   contacts from then on

A run goes to an audience as of its due instant: to the newest version by then. Earlier versions are kept for KEPT_FOR,
and for as long as a run that is being planned reads them. Two steps remove them: the first writes down in the audience
that they are gone (`kept_from`), and the second removes them when every transaction that has not seen it is over.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from bson.max_key import MaxKey
from bson.min_key import MinKey
from pymongo import DESCENDING, IndexModel

from mailroom.domain.audience_versions import AudienceVersion
from mailroom.domain.ids import AudienceId
from mailroom.domain.runs import RunState
from mailroom.storage.database import CALL_S, Db, Document, Session, guarded

COLLECTION: Final = "audience_versions"
INDEXES: Final[Sequence[IndexModel]] = ()
KEPT_FOR: Final = timedelta(days=7)
_SEEN_AFTER: Final = timedelta(seconds=4 * CALL_S)
_ROWS: Final = 5_000  # of one removal


def note(db: Db, version: AudienceVersion, count: int, *, session: Session) -> None:
    """Add a version, in the transaction that makes it."""
    db.audience_versions.insert_one({"_id": {"a": version.audience, "v": version.at}, "count": count}, session=session)


class Counted(NamedTuple):
    """A version of an audience, and the number of its contacts."""

    version: AudienceVersion
    contacts: int


def as_of(
    db: Db, wanted: Collection[tuple[AudienceId, datetime]], *, session: Session
) -> dict[tuple[AudienceId, datetime], Counted]:
    """Each of these audiences as of a moment; of a moment from before all versions that are kept, as of the oldest one.
    An audience that is not stored has nobody."""
    named = sorted({audience for audience, _ in wanted})
    rows = db.audiences.find({"_id": {"$in": named}}, _FOR_VERSIONS, session=session)
    stored = {AudienceId(doc["_id"]): doc for doc in rows}
    return {
        (audience, at): _as_of(db, stored[audience], at, session)
        if audience in stored
        else Counted(AudienceVersion(audience), 0)
        for audience, at in wanted
    }


_FOR_VERSIONS: Final = dict.fromkeys(("count", "version", "made_count", "kept_from"), 1)


def _as_of(db: Db, doc: Mapping[str, Any], at: datetime, session: Session) -> Counted:
    audience, newest = AudienceId(doc["_id"]), doc.get("version")
    if newest is None or newest <= at:
        return Counted(AudienceVersion(audience, newest), doc["count"])
    readable = max(at, doc.get("kept_from", at))
    noted = db.audience_versions.find_one(
        {"_id": _up_to(audience, readable)}, sort=[("_id", DESCENDING)], session=session
    )
    if noted is None:
        return Counted(AudienceVersion(audience), doc["made_count"])
    return Counted(AudienceVersion(audience, noted["_id"]["v"]), noted["count"])


@guarded
def forget_old(db: Db, *, now: datetime) -> int:
    """Remove contacts' earlier data that nobody reads any more, some in each call. Returns the number of documents."""
    removed = 0
    for audience, data in _oldest_data(db, before=now - KEPT_FOR).items():
        doc = db.audiences.find_one({"_id": audience}, {"kept_from": 1, "kept_from_since": 1}) or {}
        kept_from = doc.get("kept_from")
        if kept_from and (doc["kept_from_since"] > now - _SEEN_AFTER or _is_read(db, audience, before=kept_from)):
            continue
        unread = [id_ for id_, until in data if kept_from and until <= kept_from]
        if unread:
            db.recipients.delete_many({"_id": {"$in": unread}})
            db.audience_versions.delete_many({"_id": _between(audience, MinKey(), kept_from)})
        else:
            _keep_from_later(db, audience, kept_from, now)
        removed += len(unread)
    return removed


def remove_all(db: Db, audience: AudienceId) -> None:
    db.audience_versions.delete_many({"_id": _between(audience, MinKey(), MaxKey())})


def _oldest_data(db: Db, *, before: datetime) -> dict[AudienceId, list[tuple[Document, datetime]]]:
    """The ids of data that has held no more since before this time, each with that time, the oldest first, by
    audience."""
    found: dict[AudienceId, list[tuple[Document, datetime]]] = {}
    for doc in db.recipients.find({"until": {"$lt": before}}, {"until": 1}).sort("until", 1).limit(_ROWS):
        found.setdefault(AudienceId(doc["_id"]["a"]), []).append((doc["_id"], doc["until"]))
    return found


def _is_read(db: Db, audience: AudienceId, *, before: datetime) -> bool:
    """True while a run is being planned that goes to the audience as of an earlier version."""
    as_of_earlier = {"$elemMatch": {"a": audience, "at": {"$not": {"$gte": before}}}}
    reads = [
        {"lists": as_of_earlier},
        {"excluded": as_of_earlier},
        {"audience": audience, "lists": {"$exists": False}},
    ]
    planned: Sequence[Document] = ({"state": RunState.PLANNING}, {"unwritten": True})
    return any(db.runs.find_one({**which, "$or": reads}, {"_id": 1}) for which in planned)


def _keep_from_later(db: Db, audience: AudienceId, stands: datetime | None, now: datetime) -> None:
    """Write down that versions before KEPT_FOR can be read no more."""
    newest = db.audience_versions.find_one({"_id": _up_to(audience, now - KEPT_FOR)}, sort=[("_id", DESCENDING)])
    if newest and newest["_id"]["v"] != stands:
        later = {"kept_from": newest["_id"]["v"], "kept_from_since": now}
        db.audiences.update_one({"_id": audience, "kept_from": stands}, {"$set": later})


def _up_to(audience: AudienceId, at: datetime) -> Document:
    return {"$gt": {"a": audience, "v": MinKey()}, "$lte": {"a": audience, "v": at}}


def _between(audience: AudienceId, after: object, before: object) -> Document:
    return {"$gt": {"a": audience, "v": after}, "$lt": {"a": audience, "v": before}}
