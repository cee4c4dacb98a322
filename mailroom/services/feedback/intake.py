"""Take in events of providers: each is stored raw and applied to its message in one transaction, once.

Webhooks bring an event in each request, hundreds a second; `group_intake` lets them share transactions.
"""

from collections import Counter
from collections.abc import Sequence, Set
from datetime import datetime
from typing import Final

import structlog
from msgspec.structs import replace

from mailroom.domain.addresses import fold
from mailroom.domain.consent import ConsentAct, ConsentEntry
from mailroom.domain.erasures import ERASED
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import MessageId, dispatch_of_rfc_message_id, message_id
from mailroom.domain.messages.event_effects import effect_of
from mailroom.domain.repeated_events import Intake, sort_out
from mailroom.domain.suppressions import CAMPAIGNS, entry_of
from mailroom.services.common.group_commit import GroupCommit
from mailroom.storage import consents, events, suppressions, webhook_targets, webhook_tokens
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.messages import document as messages
from mailroom.storage.messages import marks as message_marks

_BATCH: Final = 500
_ACTS: Final = {
    EventKind.UNSUBSCRIBED: ConsentAct.LEFT,
    EventKind.COMPLAINED: ConsentAct.COMPLAINED,
    EventKind.RESUBSCRIBED: ConsentAct.JOINED,
}
log = structlog.get_logger()


def take_in(db: Db, batch: Sequence[Event], *, now: datetime) -> list[Intake]:
    """Store and apply these events. Returns an answer for each. Raises Unavailable; nothing of the batch is stored
    then."""
    while True:
        try:
            return in_transaction(db, lambda session: store(db, batch, now, session))
        except AlreadyThere:
            continue  # a concurrent intake has committed the event: the next try finds it


def group_intake(db: Db) -> GroupCommit[Event, Intake]:
    """A GroupCommit that takes in single events from many threads, many in a transaction."""
    return GroupCommit(lambda batch: take_in(db, batch, now=server_now(db)), most=_BATCH, name="event-intake")


def store(db: Db, batch: Sequence[Event], now: datetime, session: Session) -> list[Intake]:
    """As `take_in`, in a transaction of the caller's. Raises AlreadyThere: the transaction is to be repeated."""
    stored_ids = events.known(db, [event.id for event in batch], session=session)
    keys = [event.replay_key for event in batch if event.replay_key]
    used = webhook_tokens.used(db, keys, session=session)
    before = set(used)
    answers = sort_out(batch, stored_ids, used)
    fresh = [event for event, answer in zip(batch, answers, strict=True) if answer is Intake.STORED]
    ours, of_erased = _ours(db, fresh, session)
    kept = [_without_recipient(event) if event.id in of_erased else event for event in fresh]
    events.add_many(db, [(event, ours.get(event.id)) for event in kept], now=now, session=session)
    effects = [(ours[e.id], effect_of(e)) for e in kept if e.id in ours]
    message_marks.apply_effects(db, effects, now=now, session=session)
    fresh_tokens = {key: event_id for key, event_id in used.items() if key not in before}
    webhook_tokens.add_many(db, fresh_tokens, now=now, session=session)
    _suppress(db, _by_name(db, fresh, of_erased, session), session)
    if unread := Counter(event.provider for event in fresh if event.kind is EventKind.UNKNOWN):
        log.warning("events_not_read", **{f"of_{provider}": count for provider, count in unread.items()})
        webhook_targets.count_unread(db, unread, session=session)
    # A webhook's signature does not cover its body, so an event decides nothing about a call; it makes us ask sooner.
    named = {e.dispatch_id: e.provider_id for e in fresh if e.dispatch_id and _named_otherwise(e)}
    if named:
        dispatch_doubts.note_names(db, named, session=session)
    dispatch_doubts.hurry(db, [event.dispatch_id for event in fresh if event.dispatch_id], now=now, session=session)
    return answers


def _named_otherwise(event: Event) -> bool:
    return bool(event.provider_id) and dispatch_of_rfc_message_id(event.provider_id) != event.dispatch_id


def _suppress(db: Db, fresh: Sequence[Event], session: Session) -> None:
    """Store the suppressions that follow from these events, and lift those that a resubscription withdraws."""
    entries = [(fold(event.recipient), entry) for event in fresh if (entry := entry_of(event))]
    suppressions.add_many(db, entries, session=session)
    resubscribed = [(fold(e.recipient), e.at) for e in fresh if e.kind is EventKind.RESUBSCRIBED and e.recipient]
    suppressions.take_back(db, resubscribed, session=session)
    acts = [_journaled(event) for event in fresh if event.recipient and event.kind in _ACTS and not event.scope]
    consents.add_many(db, acts, session=session)


def _journaled(event: Event) -> ConsentEntry:
    """A provider's link, or the button of a mail program that reports spam: both concern all campaigns."""
    return ConsentEntry(fold(event.recipient), _ACTS[event.kind], CAMPAIGNS, event.at, event.provider, event.run_id)


def _ours(db: Db, fresh: Sequence[Event], session: Session) -> tuple[dict[str, MessageId], set[str]]:
    """The message ids of the events about stored messages, by event; an id follows from run and recipient. And the
    events about people who were erased since."""
    named = {e.id: e.message or message_id(e.run_id, e.recipient) for e in fresh if e.run_id and e.recipient}
    existing = messages.existing(db, list(named.values()), session=session)
    ours = {event: message for event, message in named.items() if message in existing}
    return ours, {event for event, message in ours.items() if existing[message]}


def _without_recipient(event: Event) -> Event:
    """What is stored of an event about somebody who was erased: it counts, and names nobody."""
    return replace(event, recipient=ERASED, raw="", reason="")


def _by_name(db: Db, fresh: Sequence[Event], of_erased: Set[str], session: Session) -> Sequence[Event]:
    """The events, with the name in place of each address that was erased: what follows from them is kept under it."""
    if not of_erased:
        return fresh
    known = [event for event in fresh if event.recipient != ERASED]  # of the others nobody knows the address any more
    keys = {event.id: fold(event.recipient) for event in known if event.id in of_erased}
    names = suppressions.names_within(db, list(keys.values()), session=session)
    return [
        replace(event, recipient=names[keys[event.id]], note="") if event.id in of_erased else event for event in known
    ]
