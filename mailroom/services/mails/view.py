"""Single mails looked at and cancelled. Used by the API, the pages and the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailroom.domain.addresses import fold
from mailroom.domain.emails.status import overall
from mailroom.domain.errors import EmailUnderWay
from mailroom.domain.ids import (
    DispatchId,
    EmailId,
    MessageId,
    run_of_email,
)
from mailroom.domain.messages import MessageState
from mailroom.domain.searches import EmailSearch
from mailroom.services.dispatching.propagation import propagate_states
from mailroom.services.reports.timeline import TimelineStep, steps_of_messages
from mailroom.storage import providers
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.mails import emails
from mailroom.storage.messages import document as messages


@dataclass(frozen=True, slots=True)
class Shown:
    """A mail as it stands: its document, its state, and its recipients' messages, each with the calls made for it."""

    email: Mapping[str, Any]
    state: MessageState
    recipients: Sequence[Mapping[str, Any]]
    tries: Mapping[MessageId, int]


def get(db: Db, email_id: EmailId) -> Shown:
    """Raises EmailNotFound."""
    doc = emails.get(db, email_id)
    found = messages.of_emails(db, [email_id])[email_id]
    return _shown(doc, _why_queued(db, found), _calls(db, email_id, found))


def _why_queued(db: Db, found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The messages; a queued one without a reason of its own gets the faults of the providers as its reason."""
    waits = [message for message in found if message["state"] == MessageState.QUEUED and not message.get("reason")]
    faults = providers.faults(db, now=server_now(db)) if waits else {}
    if not faults:
        return list(found)
    why = "; ".join(f"{name} takes nothing: {fault.why}" for name, fault in sorted(faults.items()))
    return [{**message, "reason": why} if message in waits else message for message in found]


def events_of(db: Db, email_id: EmailId) -> list[TimelineStep]:
    """Everything that happened to a mail, in order. Raises EmailNotFound."""
    emails.get(db, email_id)
    return steps_of_messages(db, messages.of_emails(db, [email_id])[email_id])


def page(db: Db, search: EmailSearch, *, before: tuple[datetime, str] | None, limit: int) -> list[Shown]:
    """Newest first, without the numbers of calls."""
    docs = emails.page(db, search, before=before, limit=limit)
    found = messages.of_emails(db, [EmailId(doc["_id"]) for doc in docs])
    return [_shown(doc, found[doc["_id"]], {}) for doc in docs]


def page_in_state(
    db: Db, state: MessageState, *, before: tuple[datetime, str] | None, limit: int
) -> tuple[list[Shown], tuple[datetime, str] | None]:
    """Mails of which a recipient is in this state, newest first, and where the next page begins."""
    rows = messages.of_single_mails(db, state, before=before, limit=limit)
    ids = [EmailId(id_) for id_ in dict.fromkeys(row["run_id"] for row in rows)]
    docs, found = emails.get_many(db, ids), messages.of_emails(db, ids)
    shown = [_shown(docs[id_], found[id_], {}) for id_ in ids if id_ in docs]
    # After all of the last mail's recipients: it is shown once, however many of them are in this state.
    last = (rows[-1]["created_at"], f"{rows[-1]['run_id']}/") if len(rows) == limit else None
    return shown, last


def cancel(db: Db, email_id: EmailId) -> Shown:
    """Do not send it. Raises EmailNotFound; EmailUnderWay where it was sent or its call is under way: then it is at
    least not tried again."""
    emails.get(db, email_id)
    now = server_now(db)

    def work(session: Session) -> int:
        return dispatch_outcomes.cancel(db, run_of_email(email_id), now=now, session=session)

    cancelled = in_transaction(db, work)
    propagate_states(
        db, [DispatchId(doc["_id"]) for some in dispatch_queries.of_run(db, run_of_email(email_id)) for doc in some]
    )
    shown = get(db, email_id)
    if not cancelled and shown.state is not MessageState.CANCELLED:
        raise EmailUnderWay(f"mail {email_id} is {shown.state.replace('_', ' ')}: it cannot be cancelled any more")
    return shown


def _shown(doc: Mapping[str, Any], found: Sequence[Mapping[str, Any]], tries: Mapping[MessageId, int]) -> Shown:
    places = {key: number for number, key in enumerate(doc["recipients"])}
    in_order = sorted(found, key=lambda message: places.get(fold(message["address"]), 0))
    return Shown(doc, overall({MessageState(message["state"]) for message in found}), in_order, tries)


def _calls(db: Db, email_id: EmailId, found: Sequence[Mapping[str, Any]]) -> dict[MessageId, int]:
    """How many calls were made for each recipient: those that used up a try, and the one that is not decided or was
    accepted."""
    made: dict[str, Mapping[str, Any]] = {
        doc["_id"]: doc for some in dispatch_queries.of_run(db, run_of_email(email_id)) for doc in some
    }
    return {MessageId(message["_id"]): _calls_for(message, made) for message in found}


def _calls_for(message: Mapping[str, Any], made: Mapping[str, Mapping[str, Any]]) -> int:
    left = message.get("left_dispatch")  # before the newest call, which was not for this one
    calls, doc = 0, made.get(message.get("dispatch_id") or left or "")
    while doc is not None:
        calls += _own_calls(doc, newest_counts=doc["_id"] != left)
        doc = made.get(doc.get("parent", ""))
    return calls


def _own_calls(doc: Mapping[str, Any], *, newest_counts: bool) -> int:
    """How often this dispatch itself was called. Tries that it inherited from its parent do not count, nor does an
    acceptance of a part that was never called by itself."""
    if doc["attempt"] == 0:
        return 0
    undecided = doc["state"] in ("sending", "in_doubt", "unknown") or bool(doc.get("accepted"))
    tries = int(doc["tries"]) - int(doc.get("inherited_tries", 0))
    return max(0, tries) + (undecided and newest_counts)
