"""A reader leaves a topic or all campaigns, or joins again, by the link in a mail."""

import json
from datetime import datetime

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.consent import ConsentAct, ConsentEntry, TopicChoice, choices_of, scopes_to_lift
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import message_id
from mailroom.domain.suppressions import Entry, Suppression, entry_of
from mailroom.domain.unsubscribe_links import Membership
from mailroom.services.feedback import intake
from mailroom.storage import consents, suppressions, topics
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction, server_now

log = structlog.get_logger()
PROVIDER = "mailroom"  # of events that come by our own links
_MOST_TOPICS = 100


def leave(db: Db, membership: Membership, scope: str, *, by: str) -> None:
    """No mail of this topic, or of any campaign (`campaigns`), goes to the reader from now on. The mail whose link was
    followed is counted as one that was unsubscribed from. Repeated, it changes nothing. Raises Unavailable."""
    key, now = fold(membership.address), server_now(db)
    event = _event(membership, scope, now)
    entry = entry_of(event)
    if entry is None or _is_there(suppressions.get(db, key), entry):
        return
    journaled = ConsentEntry(key, ConsentAct.LEFT, scope, now, by, membership.run)

    def store(session: Session) -> None:
        intake.store(db, [event], now, session)
        suppressions.add_many(db, [(key, entry)], session=session)  # also if the event is an earlier one's again
        consents.add_many(db, [journaled], session=session)

    while True:
        try:
            in_transaction(db, store)
        except AlreadyThere:
            continue  # the same click came twice in one moment
        break
    log.info("reader_left", scope=scope, by=by, run_id=membership.run)


def join(db: Db, membership: Membership, topic: str, *, by: str) -> None:
    """Mail of this topic goes to the reader again: their unsubscribes from it and from all campaigns end. A bounce or a
    complaint stays. Repeated, it changes nothing. Raises Unavailable."""
    key, now = fold(membership.address), server_now(db)
    scopes = scopes_to_lift(topic)
    stored = suppressions.get(db, key)
    if stored is None or not any(entry.scope in scopes for entry in stored.entries):
        return
    journaled = ConsentEntry(key, ConsentAct.JOINED, topic, now, by, membership.run)

    def store(session: Session) -> None:
        suppressions.take_back(db, [(key, now)], scopes=scopes, session=session)
        consents.add_many(db, [journaled], session=session)

    in_transaction(db, store)
    log.info("reader_joined", topic=topic, by=by)


def choices(db: Db, address: str) -> list[TopicChoice]:
    """The topics, and which of them go to this address. Raises Unavailable."""
    return choices_of(topics.page(db, after="", limit=_MOST_TOPICS), suppressions.get(db, address))


def _is_there(stored: Suppression | None, entry: Entry) -> bool:
    return stored is not None and any(one.scope == entry.scope for one in stored.entries)


def _event(membership: Membership, scope: str, now: datetime) -> Event:
    """The same for each click of the same mail's link, so that a mail is counted once."""
    message = message_id(membership.run, membership.address)
    return Event(
        id=f"{PROVIDER}/{message}/{scope}",
        provider=PROVIDER,
        kind=EventKind.UNSUBSCRIBED,
        at=now,
        recipient=membership.address,
        run_id=membership.run,
        dispatch_id=None,
        raw=json.dumps({"scope": scope}),
        scope=scope,
    )
