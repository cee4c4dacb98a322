"""Messages by their recipient, in the collection `messages` (see document.py).

A message's id follows from its run and its address. So an address is looked up in given runs, without an index of
addresses.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from mailroom.domain.ids import DispatchId, MessageId, RunId, message_id
from mailroom.domain.messages.states import MessageState
from mailroom.storage.database import Db, Document, guarded

_SHOWN: Final = dict.fromkeys(("run_id", "address", "state", "dispatch_id", "left_dispatch"), 1)


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """A message to a person. `dispatch_id`: None if it never had a dispatch."""

    id: MessageId
    run_id: RunId
    address: str
    state: MessageState
    dispatch_id: DispatchId | None


@guarded
def to(db: Db, addresses: Collection[str], *, of: Collection[RunId]) -> list[FoundMessage]:
    """The messages of these runs and single mails to these addresses. Costs one id lookup for each pair."""
    ids = [message_id(run, address) for run in of for address in addresses]
    return [_found(doc) for doc in db.messages.find({"_id": {"$in": ids}}, _SHOWN)] if ids else []


def _found(doc: Document) -> FoundMessage:
    dispatch = doc.get("dispatch_id") or doc.get("left_dispatch")
    return FoundMessage(
        id=MessageId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        address=doc["address"],
        state=MessageState(doc["state"]),
        dispatch_id=DispatchId(dispatch) if dispatch else None,
    )
