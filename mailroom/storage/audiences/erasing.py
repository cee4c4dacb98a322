"""What is left of an erased person in the lists of the collection `recipients` (see members.py).

A run that has fixed its audience before goes on reading that version, so everybody's position in it must stay. So each
document of the address becomes a *tombstone*: its id, the versions between which it held, and the time zone, by which
runs in each recipient's own time are divided. It is removed as all earlier data is (see versions.py): after a week, and
not while a run in planning reads it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bson.max_key import MaxKey
from pymongo import ReplaceOne

from mailroom.domain.contacts import Contact
from mailroom.domain.erasures import ERASED
from mailroom.domain.ids import AudienceId
from mailroom.domain.runs import RunState
from mailroom.storage.audiences.members import contact_of
from mailroom.storage.database import Db, Document, Session, drop_unset, guarded

_STANDS: Final[Document] = {"erased": {"$exists": False}}


@guarded
def holding(db: Db, audiences: Sequence[AudienceId], key: str) -> set[AudienceId]:
    """The audiences among these that this folded address is, or was, in."""
    now = db.recipients.find({"_id": {"$in": [{"a": audience, "k": key} for audience in audiences]}}, {"_id": 1})
    before = db.recipients.find({"_id.k": key, "until": {"$exists": True}, **_STANDS}, {"_id": 1})
    held = {AudienceId(doc["_id"]["a"]) for doc in (*now, *before)}
    return held & {*audiences}


@guarded
def stored_of(db: Db, audience: AudienceId, key: str) -> Sequence[Mapping[str, object]]:
    """All that is stored of a folded address in an audience, earlier data included."""
    rows = db.recipients.find({"_id": _every(audience, key), **_STANDS}).sort("_id", 1)
    return [{name: value for name, value in doc.items() if name != "_id"} for doc in rows]


def leave_places(
    db: Db, audience: AudienceId, key: str, found_by: Callable[[Contact], Sequence[str]], *, session: Session
) -> int:
    """Leave the places alone of whoever has this folded address. `found_by`: the digests of filters that find a
    contact. Returns how many documents were changed."""
    docs = list(db.recipients.find({"_id": _every(audience, key), **_STANDS}, session=session))
    writes = [ReplaceOne({"_id": doc["_id"]}, _tombstone(doc, found_by(contact_of(doc)))) for doc in docs]
    if writes:
        db.recipients.bulk_write(writes, ordered=False, session=session)
    return len(writes)


def filters_in_planning(db: Db, audience: AudienceId, *, session: Session) -> dict[str, datetime]:
    """The filters of runs that are being planned now, and go to a part of this audience or leave it out; each with the
    moment for which it is applied."""
    planned: Sequence[Document] = ({"state": RunState.PLANNING}, {"unwritten": True})
    reads = {"$or": [{"lists.a": audience}, {"excluded.a": audience}]}
    shown = {"lists": 1, "excluded": 1, "due_at": 1}
    docs = [doc for which in planned for doc in db.runs.find({**which, **reads}, shown, session=session)]
    lists = [(one, doc["due_at"]) for doc in docs for one in (*doc.get("lists", ()), *doc.get("excluded", ()))]
    return {one["only"]: due_at for one, due_at in lists if one["a"] == audience and one.get("only")}


def _tombstone(doc: Mapping[str, Any], found_by: Sequence[str]) -> Document:
    return drop_unset(
        {
            "_id": doc["_id"],
            "erased": True,
            "address": ERASED,
            "name": "",
            "variables": {},
            "time_zone": doc.get("time_zone"),
            "since": doc.get("since"),
            "until": doc.get("until"),
            "found_by": sorted(found_by) or None,
        }
    )


def _every(audience: AudienceId, key: str) -> Document:
    """The ids of a contact and of all its earlier data."""
    return {"$gte": {"a": audience, "k": key}, "$lte": {"a": audience, "k": key, "u": MaxKey()}}
