"""A reader leaves a topic or all campaigns, or joins again, by the link in a mail."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.consent import ConsentAct, ConsentEntry, TopicChoice, choices_of
from mailroom.domain.events import Event, EventKind, SuppressionReason
from mailroom.domain.ids import message_id
from mailroom.domain.suppressions import Entry
from mailroom.domain.topics import Topic, unknown_topic
from mailroom.domain.unsubscribe_links import Membership
from mailroom.services.consent.lifting import lift, unsubscribes_of
from mailroom.services.feedback import intake
from mailroom.storage import consents, suppressions, topics
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction, server_now
from mailroom.storage.messages import document as messages

log = structlog.get_logger()
PROVIDER: Final = "mailroom"  # of events that come by our own links
_MOST_TOPICS: Final = 100
_MOMENT: Final = timedelta(milliseconds=1)  # the least by which two times differ in MongoDB


def leave(db: Db, membership: Membership, scope: str, *, by: str) -> bool:
    """No mail of this topic, or of any campaign (`campaigns`), goes to the reader from now on. The mail whose link was
    followed is counted as one that was unsubscribed from. Returns whether this is new; repeated, it changes nothing.
    Raises Unavailable."""
    key, now = _key_of(db, membership), server_now(db)
    event = _event(membership, scope, now)
    entry = Entry(scope, SuppressionReason.UNSUBSCRIBED, now, "", event.id)
    journaled = ConsentEntry(key, ConsentAct.LEFT, scope, now, by, membership.run)

    def store(session: Session) -> bool:
        # Read here: of several clicks at once, one alone is the first.
        if any(stored.scope == scope for stored in suppressions.entries_of(db, key, session=session)):
            return False
        intake.store(db, [event], now, session)
        # Also if the same mail's link was followed before, and whatever the reader joined in the same moment.
        suppressions.add_many(db, [(key, entry)], session=session, asked_now=True)
        consents.add_many(db, [journaled], session=session)
        return True

    while True:
        try:
            new = in_transaction(db, store)
        except AlreadyThere:
            continue  # another click has stored the event since it was looked for
        break
    if new:
        log.info("reader_left", scope=scope, by=by, run_id=membership.run)
    return new


def join(db: Db, membership: Membership, topic: str, *, by: str) -> bool:
    """Mail of this topic goes to the reader again: their unsubscribe from it ends. If they had left all campaigns, they
    stay away from every other topic there is. A bounce or a complaint stays. Returns whether this changed something;
    repeated, it changes nothing. Raises Unavailable."""
    key, now = _key_of(db, membership), server_now(db)
    journaled, known = ConsentEntry(key, ConsentAct.JOINED, topic, now, by, membership.run), topics.ids(db)

    def store(session: Session) -> bool:
        left = unsubscribes_of(suppressions.entries_of(db, key, session=session), topic)
        if not left:
            return False
        # Later than what it takes back, also if the clock of MongoDB's primary is behind that of the one before.
        at = max(now, *(entry.since + _MOMENT for entry in left.values()))
        lift(db, key, topic, left, known=known, at=at, session=session)
        consents.add_many(db, [journaled], session=session)
        return True

    changed = in_transaction(db, store)
    if changed:
        log.info("reader_joined", topic=topic, by=by)
    return changed


def choices(db: Db, address: str, *, of: str = "") -> list[TopicChoice]:
    """The first hundred topics by their ids, and the topic `of`, each with whether it goes to this address. Raises
    Unavailable."""
    found: Sequence[Topic] = topics.page(db, after="", limit=_MOST_TOPICS)
    if of and of not in {topic.id for topic in found}:
        # A database that was put back to an older copy may not know it.
        found = [*found, topics.get_many(db, [of]).get(of) or unknown_topic(of)]
    return choices_of(found, suppressions.get(db, address))


def _key_of(db: Db, membership: Membership) -> str:
    """Where what the reader does is kept: under their folded address, or the name of it if they were erased since."""
    key = fold(membership.address)
    names = suppressions.names_of(db, [key])
    return names[key] if names and messages.is_erased(db, message_id(membership.run, membership.address)) else key


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
