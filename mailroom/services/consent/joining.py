"""A reader joins a topic by a form: at once, or by the link in the confirmation mail."""

import contextlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.audiences import Recipient
from mailroom.domain.confirm_links import SubscriptionRequest
from mailroom.domain.consent import BY_CONFIRMATION, BY_FORM, ConsentAct, ConsentEntry
from mailroom.domain.errors import AudienceNotFound, InvalidInput
from mailroom.domain.ids import AudienceId, RunId, run_of_email
from mailroom.domain.suppressions import forbidden
from mailroom.domain.topics import Topic, scopes_of_campaign, unknown_topic
from mailroom.services.audiences import contacts
from mailroom.services.consent.lifting import lift, unsubscribes_of
from mailroom.storage import consents, suppressions, topics
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction

log = structlog.get_logger()
_NAME: Final = re.compile(r"[^\W\d_][^\W\d_ '-]{0,29}(?:[ '-]+[^\W\d_]{1,30}){0,3}")
_SOURCE: Final = "form"  # how such a contact came into its audience


class Confirmed(StrEnum):
    """What came of following the link of a confirmation mail."""

    JOINED = "joined"  # now, or by an earlier click
    BLOCKED = "blocked"  # the same, but a bounce, a complaint or a person holds back what goes to the address
    LEFT_SINCE = "left_since"  # the reader has left since they asked: nothing is changed
    ENDED = "ended"  # the link has ended: nothing is changed


@dataclass(frozen=True, slots=True)
class Proof:
    """How it is known that a reader has joined: see ConsentEntry. `once`: it is journaled once under this name."""

    at: datetime
    by: str
    once: str
    run: RunId | None = None
    asked_at: datetime | None = None


def _store_joining(db: Db, topic: Topic, address: str, name: str, *, proof: Proof, session: Session) -> None:
    """Journal that a reader has joined by a form, once for each proof, and let them into the topic's audience, in the
    transaction that decides it. `address`: in the form to send to. `name`: as typed, '' for none. Raises AlreadyThere
    if another transaction has just done the same."""
    key, joined = fold(address), ConsentAct.JOINED
    entry = ConsentEntry(key, joined, topic.id, proof.at, proof.by, proof.run, proof.asked_at, name, proof.once)
    consents.add_new(db, entry, session=session)
    if topic.audience:
        _let_in(db, AudienceId(topic.audience), address, name, at=proof.at, session=session)


def _let_in(db: Db, audience: AudienceId, address: str, name: str, *, at: datetime, session: Session) -> None:
    """A reader joins the topic whatever becomes of its audience: it may be deleted, or full."""
    # Anybody may have typed the name, and mail greets by it: nothing that looks like a link or an advertisement.
    recipient = Recipient(address, name.strip() if _NAME.fullmatch(name.strip()) else "")
    try:
        contacts.join_within(db, audience, recipient, source=_SOURCE, now=at, session=session)
    except (AudienceNotFound, InvalidInput) as error:
        log.error("subscriber_in_no_audience", audience_id=audience, reason=str(error))


def join_by_form(db: Db, topic: Topic, address: str, name: str, *, now: datetime) -> bool:
    """The reader of a topic without confirmation has joined, unless something holds its mail back from the address: a
    form does not prove who asks, so it lifts nothing, the reader's own unsubscribe included. Returns whether this is
    new; repeated, it changes nothing. Raises Unavailable."""
    key = fold(address)
    proof = Proof(now, BY_FORM, f"{BY_FORM}/{topic.id}/{key}")
    _prepare(db, topic)

    def store(session: Session) -> bool:
        held_back = forbidden(suppressions.entries_of(db, key, session=session), scopes_of_campaign(topic.id))
        if held_back is not None or consents.has(db, proof.once, session=session):
            return False
        _store_joining(db, topic, address, name, proof=proof, session=session)
        return True

    while True:
        try:
            new = in_transaction(db, store)
        except AlreadyThere:
            continue  # another process has taken the same form: the next try finds its entry
        break
    if new:
        log.info("reader_joined", topic=topic.id, by=BY_FORM)
    return new


def confirm(db: Db, asked: SubscriptionRequest, *, now: datetime) -> Confirmed:
    """The reader joins the topic: their unsubscribes from before they asked end, as by joining it on the page behind
    the links. A bounce or a complaint stays. The first use of a mail's link is journaled; repeated, it changes nothing,
    and brings nobody back who has left since. `now`: by MongoDB's clock. Raises Unavailable."""
    if now >= asked.until:
        return Confirmed.ENDED
    known, topic = topics.ids(db), topics.get_many(db, [asked.topic]).get(asked.topic) or unknown_topic(asked.topic)
    _prepare(db, topic)
    once = f"{BY_CONFIRMATION}/{asked.mail}"
    proof = Proof(now, BY_CONFIRMATION, once, run_of_email(asked.mail), asked.asked_at)
    while True:
        try:
            outcome, new = in_transaction(db, lambda session: _confirm(db, asked, topic, proof, known, session))
        except AlreadyThere:
            continue  # another click was first: the next try finds its entry
        break
    if new:
        log.info("reader_joined", topic=asked.topic, by=BY_CONFIRMATION, email_id=asked.mail)
    return outcome


def _prepare(db: Db, topic: Topic) -> None:
    if topic.audience:
        with contextlib.suppress(InvalidInput):  # then the reader is in no audience, and the log says so
            contacts.prepare(db, AudienceId(topic.audience))


def _confirm(
    db: Db, asked: SubscriptionRequest, topic: Topic, proof: Proof, known: set[str], session: Session
) -> tuple[Confirmed, bool]:
    """Returns (the outcome, whether something was changed)."""
    key = fold(asked.address)
    entries = suppressions.entries_of(db, key, session=session)
    left = unsubscribes_of(entries, asked.topic)
    if any(entry.since >= asked.asked_at for entry in left.values()):
        return Confirmed.LEFT_SINCE, False
    others = [entry for entry in entries if entry not in left.values()]
    outcome = Confirmed.BLOCKED if forbidden(others, scopes_of_campaign(asked.topic)) else Confirmed.JOINED
    if consents.has(db, proof.once, session=session):
        return outcome, False
    if left:
        lift(db, key, asked.topic, left, known=known, at=asked.asked_at, session=session)
    _store_joining(db, topic, asked.address, asked.name, proof=proof, session=session)
    return outcome, True
