"""Erase a person: asked for once, and done in small steps by whichever process tidies up.

A step is one transaction: it changes documents, and notes with them how far the erasure has come. So a step that was
cut off did not happen, one that two processes make at once counts once, and everything else goes on meanwhile.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.erasures import Erasure, ErasurePhase, ErasureState, following, key_of_person
from mailroom.domain.errors import ErasureNotFound, MailroomError
from mailroom.domain.ids import new_erasure_id
from mailroom.domain.sender_rules import SenderRule
from mailroom.services.common import sender_rules
from mailroom.services.persons.steps import STEPS, ErasureStep, counted
from mailroom.storage import erasures, suppressions
from mailroom.storage.database import AlreadyThere, Db, Session, in_transaction, server_now

log = structlog.get_logger()
_LOOK_AGAIN: Final = timedelta(seconds=30)  # at runs in planning and calls under way
_AFTER_A_FAULT: Final = timedelta(minutes=15)
_AT_ONCE: Final = 20  # erasures that one use works at in turn
_MOST_SHOWN: Final = 20


def ask(db: Db, address: str, *, by: str) -> tuple[Erasure, bool]:
    """Ask for the erasure of an address. From now on its suppressions stand under its name alone. Returns (the erasure,
    whether it is new): one that is not done yet is not asked for again. Raises InvalidInput, SendersTooOld,
    Unavailable."""
    key = key_of_person(address)
    sender_rules.require(db, SenderRule.ERASURES)
    suppressions.prepare_names(db)
    name = suppressions.names_of(db, [key])[key]
    new = Erasure(new_erasure_id(), key, name, ErasureState.RUNNING, server_now(db), by)

    def store(session: Session) -> tuple[Erasure, bool]:
        standing = erasures.open_of(db, key, session=session)
        if standing is not None:
            return standing, False
        hidden = suppressions.erase(db, key, now=new.asked_at, session=session)
        asked = replace(new, counts=counted(suppressions=hidden))
        erasures.add(db, asked, session=session)
        return asked, True

    while True:
        try:
            asked, is_new = in_transaction(db, store)
        except AlreadyThere:
            continue  # another request was first: the next try finds its erasure
        break
    if is_new:
        log.info("erasure_asked", erasure_id=asked.id, by=by)
    return asked, is_new


def of_address(db: Db, address: str) -> Sequence[Erasure]:
    """The newest erasures of an address, newest first."""
    key = fold(address)
    names = suppressions.names_of(db, [key])
    return erasures.of_name(db, names[key], limit=_MOST_SHOWN) if names else ()


def newest(db: Db, address: str) -> Erasure:
    """Raises ErasureNotFound."""
    found = of_address(db, address)
    if not found:
        raise ErasureNotFound(address)
    return found[0]


def proceed(db: Db, *, now: datetime, within_s: float) -> int:
    """Work at erasures for about `within_s` seconds, a step of each in turn. Returns how many steps were made. Raises
    Unavailable."""
    ends_at, steps = time.monotonic() + within_s, 0
    while open_ := erasures.due(db, now=now, limit=_AT_ONCE):
        for erasure in open_:
            steps += _proceed_or_put_off(db, erasure, now=now)
            if time.monotonic() >= ends_at:
                return steps
    return steps


def _proceed_or_put_off(db: Db, erasure: Erasure, *, now: datetime) -> bool:
    """A fault of its own stops no other erasure. Raises Unavailable."""
    try:
        return _proceed(db, erasure, now=now)
    except MailroomError:
        raise
    except Exception:
        log.exception("erasure_step_failed", erasure_id=erasure.id, phase=erasure.phase)
        erasures.put_off(db, erasure.id, until=now + _AFTER_A_FAULT)
        return False


def _proceed(db: Db, erasure: Erasure, *, now: datetime) -> bool:
    """Make the next step. False if another process has made it. `now`: the beginning of the use at hand. What the step
    writes has a time of its own: calls came to their end since."""
    step = STEPS[erasure.phase](db, erasure, server_now(db))

    def work(session: Session) -> Erasure:
        after = _after(erasure, step, session)
        if after.state is ErasureState.DONE:
            after, next_at = replace(after, done_at=server_now(db)), None
        else:
            next_at = now + _LOOK_AGAIN if after.state is ErasureState.WAITING else now
        erasures.advance(db, erasure, after, next_at=next_at, session=session)
        return after

    try:
        after = in_transaction(db, work)
    except AlreadyThere:
        return False
    if after.state is ErasureState.DONE:
        log.info("erasure_done", erasure_id=erasure.id, documents=after.documents)
    return True


def _after(erasure: Erasure, step: ErasureStep, session: Session) -> Erasure:
    """The erasure after the step, whose work is done in this transaction."""
    outcome = step.work(session)
    counts = counted(**{kind: erasure.counts.get(kind, 0) + outcome.counts.get(kind, 0) for kind in outcome.counts})
    earlier = [] if erasure.phase is ErasurePhase.REST else erasure.waits
    moved = replace(
        erasure,
        counts={**erasure.counts, **counts},
        waits=tuple(dict.fromkeys([*earlier, *outcome.waits])),
        after=step.after,
    )
    if not step.is_last:
        return moved
    if phase := following(erasure.phase):
        return replace(moved, phase=phase, after="")
    if moved.waits:
        return replace(moved, state=ErasureState.WAITING)
    return replace(moved, state=ErasureState.DONE)
