"""Stop and start all sending, and keep holds the same in MongoDB and Redis.

MongoDB is written first, then Redis. Claims read MongoDB in their own transaction, crossings read Redis in their own
script: once a hold is in both, nothing passes. A hold that only one of the two has holds too.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.domain.dispatches.fences import FenceState
from mailroom.domain.errors import SendingStopped, Unavailable
from mailroom.domain.holds import EVERYTHING, FORGOTTEN, Hold, number_after_loss
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.storage import holds
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import counts as dispatch_counts
from mailroom.storage.dispatches.counts import InHand
from mailroom.storage.holds import NOTHING_HELD, OnHold
from mailroom.storage.schedules import runs

__all__ = ["NOTHING_HELD", "OnHold"]  # for senders

log = structlog.get_logger()
_MOST_SHOWN: Final = 10_000  # calls in hand anywhere; senders have fewer


@dataclass(frozen=True, slots=True)
class Switch:
    """The switch for all sending: its hold, and the calls that are under way while it is stopped.

    `sure` is False while Redis does not answer: `in_flight` is then every claimed dispatch, and some may not be called.
    """

    hold: Hold
    in_flight: tuple[InHand, ...] = ()
    sure: bool = True

    @property
    def sending(self) -> bool:
        return not self.hold.held


def stop(db: Db, mirror: Holds, fences: Fences, *, by: str) -> Switch:
    """Send nothing more until `start`: after this returns, no fence is crossed. The answer names the calls that had
    begun; they are finished. Stopping again changes nothing. Raises Unavailable: then nothing was changed."""
    agree(db, mirror, EVERYTHING)
    hold = holds.change(db, EVERYTHING, held=True, by=by, now=server_now(db))
    log.warning("sending_stopped", by=hold.by, at=hold.at)
    mirror_or_say(mirror, hold)
    return switch(db, mirror, fences)


def start(db: Db, mirror: Holds, fences: Fences, *, by: str) -> Switch:
    """Send again. Mails that waited go now; the misfire rule decides about due instants that were missed. Starting
    again changes nothing. Raises Unavailable: then nothing was changed."""
    agree(db, mirror, EVERYTHING)
    hold = holds.change(db, EVERYTHING, held=False, by=by, now=server_now(db))
    log.warning("sending_started", by=by)
    mirror_or_say(mirror, hold)
    return switch(db, mirror, fences)


def switch(db: Db, mirror: Holds, fences: Fences) -> Switch:
    """The switch as it stands. Raises Unavailable if MongoDB is away."""
    hold, of_one_mind = _agree(db, mirror, EVERYTHING)
    if not hold.held:
        return Switch(hold)
    in_hand = dispatch_counts.in_hand_anywhere(db, limit=_MOST_SHOWN)
    called = called_among(fences, in_hand) if of_one_mind else Called(tuple(in_hand), sure=False)
    return Switch(hold, called.in_flight, called.sure)


def require_sending(db: Db) -> None:
    """Raises SendingStopped. For the few calls to a provider that carry no dispatch."""
    hold = holds.get(db, EVERYTHING)
    if hold.held:
        raise SendingStopped(in_words(hold))


def what_still_goes(now: Switch) -> str:
    """For pages and commands: the calls that were begun before it was stopped."""
    if not now.in_flight:
        return "No request is in flight."
    mails = sum(call.messages for call in now.in_flight)
    count = f"{len(now.in_flight):,} request{'' if len(now.in_flight) == 1 else 's'} with {mails:,} emails"
    if not now.sure:
        return f"Up to {count} may still go: Redis does not answer."
    return f"{count} begun before: what comes of {'it' if len(now.in_flight) == 1 else 'them'} is written down."


def why_stopped(db: Db) -> str | None:
    """Who stopped all sending, and when; None while it is not stopped."""
    hold = holds.get(db, EVERYTHING)
    return in_words(hold) if hold.held else None


def in_words(hold: Hold) -> str:
    """Who stopped all sending, and when."""
    return f"All sending was stopped by {hold.by or 'somebody'}" + (
        f" at {hold.at:%Y-%m-%d %H:%M:%S} UTC" if hold.at else ""
    )


@dataclass(frozen=True, slots=True)
class Called:
    """Of claimed dispatches: those whose call may still go or be answered, and those that a provider has accepted and
    whose sender has not written it down yet. Not `sure`: Redis does not answer, and any of them may go."""

    in_flight: tuple[InHand, ...]
    accepted: tuple[InHand, ...] = ()
    sure: bool = True


def called_among(fences: Fences, in_hand: Collection[InHand]) -> Called:
    """What the fences of claimed dispatches tell. A dispatch that has not crossed its fence under a hold is not
    called."""
    if not in_hand:
        return Called(())
    try:
        found, _ = fences.read([(one.lane, one.id) for one in in_hand])
    except Unavailable:
        return Called(tuple(in_hand), sure=False)
    crossed = [one for one in in_hand if (f := found[one.id]).state is FenceState.CROSSED and f.claim_id == one.claim]
    accepted = [one for one in in_hand if found[one.id].state is FenceState.DONE]
    return Called(tuple(crossed), tuple(accepted))


def look(db: Db, mirror: Holds) -> OnHold:
    """Make the switch the same in both stores, and return everything that is held. Raises Unavailable."""
    agree(db, mirror, EVERYTHING)
    return holds.standing(db)


def agree(db: Db, mirror: Holds, id_: str, *, of: ScheduleId | None = None) -> Hold:
    """Make a hold the same in both stores, and return it; while Redis is away, MongoDB's. `of`: the schedule, if it is
    the hold of a run. Raises Unavailable."""
    return _agree(db, mirror, id_, of=of)[0]


def _agree(db: Db, mirror: Holds, id_: str, *, of: ScheduleId | None = None) -> tuple[Hold, bool]:
    """Returns (the hold, whether both stores are known to have it).

    Redis is read first: MongoDB had every number that Redis shows, unless MongoDB was put back to an older copy.
    """
    try:
        mirrored = mirror.read(id_)
    except Unavailable as error:
        log.warning("hold_not_read", hold=id_, error=str(error))
        return holds.get(db, id_), False
    stored = holds.get(db, id_)
    if mirrored.number > stored.number:
        newer = Hold(id_, number_after_loss(stored.number, mirrored.number), mirrored.by or FORGOTTEN, mirrored.at)
        log.error("hold_was_forgotten", hold=id_, held=newer.held, by=newer.by, at=newer.at)
        holds.adopt(db, stored, newer, of=of)
        stored = holds.get(db, id_)
    if stored.number > mirrored.number:
        return stored, mirror_or_say(mirror, stored)
    return stored, True


def agree_on_runs(db: Db, mirror: Holds, run_ids: Collection[RunId]) -> None:
    """Make the holds of runs the same in both stores, after their fences refused or before a hold is changed: either
    MongoDB takes the hold over, or Redis learns that it was lifted. Raises Unavailable.
    """
    for run_id, schedule_id in runs.open_among(db, run_ids).items():
        hold = agree(db, mirror, run_id, of=schedule_id)

        def work(session: Session, run_id: RunId = run_id, hold: Hold = hold) -> None:
            if holds.held_among(db, [run_id], session=session):  # it may be resumed in this moment
                runs.mark_paused(db, [run_id], by=hold.by, now=hold.at, session=session)

        if hold.held:
            in_transaction(db, work)


def mirror_or_say(mirror: Holds, hold: Hold) -> bool:
    """Mirror a hold to Redis. False if Redis is away: then no fence is crossed either, and senders mirror the hold as
    soon as Redis answers."""
    try:
        mirror.mirror(hold)
    except Unavailable as error:
        log.warning("hold_not_mirrored", hold=hold.id, held=hold.held, error=str(error))
        return False
    return True
