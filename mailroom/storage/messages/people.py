"""Messages by their recipient, in the collection `messages` (see document.py).

A message's id follows from its run and its address. So an address is looked up in given runs, without an index of
addresses. Messages of somebody who was erased are nobody's.
"""

from collections.abc import Collection, Sequence
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
    return [_found(doc) for doc in db.messages.find({"_id": {"$in": ids}, **_STANDS}, _SHOWN)] if ids else []


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of a message to a person. `key`: the folded address."""

    key: str
    run_id: RunId
    opened: bool
    clicked: bool
    delivered: bool
    bounced: bool
    mailed: bool

    def tells(self, event: str) -> bool:
        """`event`: one of `EVENTS` in domain/segments/parsing.py."""
        return bool(getattr(self, event))


@guarded
def signs(db: Db, keys: Collection[str], *, of: Sequence[RunId]) -> list[Signs]:
    """What is known of the messages of these runs to these folded addresses. Costs one id lookup for each pair."""
    by_id = {message_id(run, key): (key, run) for run in of for key in keys}
    rows = db.messages.find({"_id": {"$in": list(by_id)}, **_STANDS}, _OF_SIGNS)
    return [_signs(*by_id[MessageId(doc["_id"])], doc) for doc in rows]


_STANDS: Final[Document] = {"erased": {"$exists": False}}
_OF_SIGNS: Final = dict.fromkeys(("state", "opens", "clicks", "delivered_at"), 1)
_ACCEPTED: Final = frozenset(
    {MessageState.SENT, MessageState.DELIVERED, MessageState.DEFERRED, MessageState.BOUNCED, MessageState.REJECTED}
)


def _signs(key: str, run: RunId, doc: Document) -> Signs:
    state = MessageState(doc["state"])
    return Signs(
        key,
        run,
        opened=doc.get("opens", 0) > 0,
        clicked=doc.get("clicks", 0) > 0,
        delivered="delivered_at" in doc or state is MessageState.DELIVERED,
        bounced=state is MessageState.BOUNCED,
        mailed=state in _ACCEPTED,
    )


def _found(doc: Document) -> FoundMessage:
    dispatch = doc.get("dispatch_id") or doc.get("left_dispatch")
    return FoundMessage(
        id=MessageId(doc["_id"]),
        run_id=RunId(doc["run_id"]),
        address=doc["address"],
        state=MessageState(doc["state"]),
        dispatch_id=DispatchId(dispatch) if dispatch else None,
    )
