"""Collection `cluster`: how far suppressions were pushed to the lists of a Mailgun domain.

_id         'mailgun_push/' and the domain, and which suppressions go there
next_at     when the next process may push, by MongoDB's clock
walked_to   the last address of those that were pushed from the beginning; absent before the first
walked      true once all that was stored at the beginning was pushed; from then on marks say what is new
"""

from dataclasses import dataclass
from typing import Final

from mailroom.storage.cluster.server_clock import has_come, in_seconds
from mailroom.storage.database import Db, guarded

_PREFIX: Final = "mailgun_push/"


@dataclass(frozen=True, slots=True)
class PushTurn:
    """`walked_to`: where the first walk over all addresses goes on; None once it has ended."""

    walked_to: str | None


@guarded
def take_turn(db: Db, name: str, *, for_s: float) -> PushTurn | None:
    """None while another process has the turn, or it is not time yet. It ends by itself after `for_s` seconds."""
    id_ = f"{_PREFIX}{name}"
    db.cluster.update_one({"_id": id_}, {"$setOnInsert": {"walked": False}}, upsert=True)
    due = {"_id": id_, "$expr": has_come("next_at")}
    doc = db.cluster.find_one_and_update(due, [{"$set": {"next_at": in_seconds(for_s)}}])
    if doc is None:
        return None
    return PushTurn(None if doc["walked"] else doc.get("walked_to", ""))


@guarded
def note_walked(db: Db, name: str, to: str | None) -> None:
    """Note the last address that was pushed; None: all of them were."""
    change = {"walked": True} if to is None else {"walked_to": to}
    db.cluster.update_one({"_id": f"{_PREFIX}{name}"}, {"$set": change})


@guarded
def end_turn(db: Db, name: str, *, again_in_s: float) -> None:
    db.cluster.update_one({"_id": f"{_PREFIX}{name}"}, [{"$set": {"next_at": in_seconds(again_in_s)}}])
