"""People who are erased, and what is left of them."""

from typing import Any

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.erasures import Erasure
from mailroom.domain.ids import DispatchId, EmailId, RunId, message_id
from mailroom.services.mails.accept import Outbox
from mailroom.services.persons import erasing
from mailroom.storage.database import Db, server_now

ANN = "ann@example.org"


def work(db: Db, *, within_s: float = 30.0) -> int:
    """As senders do from time to time."""
    return erasing.proceed(db, now=server_now(db), within_s=within_s)


def erase(db: Db, address: str = ANN) -> Erasure:
    """Ask for it, and work at it as far as it goes now."""
    erasing.ask(db, address, by="cleo")
    work(db)
    return erasing.newest(db, address)


def look_again(db: Db, address: str = ANN) -> Erasure:
    """At what had to be left."""
    db.erasures.update_many({"next_at": {"$exists": True}}, {"$set": {"next_at": server_now(db)}})
    work(db)
    return erasing.newest(db, address)


def where(db: Db, address: str = ANN) -> set[str]:
    """The collections in which a document holds the address, in whatever field."""
    return {name for name in db.list_collection_names() if any(_holds(doc, address) for doc in db[name].find())}


def handed_in(db: Db, *to: str, key: str = "k", **fields: Any) -> EmailId:
    """A single mail to these."""
    words = {"subject": f"Dear {to[0]}", "text": f"Hello {to[0]}"}
    draft = EmailDraft(sender="Shop <news@mg.example.com>", to=list(to), **words | fields)
    outbox = Outbox(db, lanes=1, providers=["mailgun"])
    return outbox.hand_in(draft, owner="tests", key=key).id


def split_off(db: Db, mail: EmailId, address: str, state: DispatchState, *, rest: DispatchState) -> DispatchId:
    """Give one recipient of a single mail a dispatch of their own, in this state. `rest`: the state of the others'."""
    whole = db.dispatches.find_one({"run_id": mail})
    part = whole | {"_id": f"{whole['_id']}.part", "state": state, "messages": 1}
    db.dispatches.insert_one(part)
    db.dispatches.update_one({"_id": whole["_id"]}, {"$set": {"state": rest, "messages": whole["messages"] - 1}})
    db.messages.update_one({"_id": message_id(RunId(mail), address)}, {"$set": {"dispatch_id": part["_id"]}})
    return DispatchId(part["_id"])


def _holds(value: Any, address: str) -> bool:
    if isinstance(value, dict):
        return any(_holds(one, address) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return any(_holds(one, address) for one in value)
    text = value.decode(errors="ignore") if isinstance(value, bytes) else str(value)
    return address in text.lower()
