"""All sending stopped and started again, and holds kept the same in MongoDB and Redis.

MongoDB is written first, then Redis. Claims ask MongoDB in their own transaction, crossings ask Redis in their own
script: once a hold is in both, nothing passes. Where only one of them says that something is held, it is held.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.domain.dispatches import FenceState
from mailroom.domain.errors import SendingStopped, Unavailable
from mailroom.domain.holds import EVERYTHING, FORGOTTEN, Hold, number_after_loss
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.storage import dispatch_tallies, holds, runs
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatch_tallies import InHand
from mailroom.storage.holds import NOTHING_HELD, Standing

__all__ = ["NOTHING_HELD", "Standing"]  # for senders

log = structlog.get_logger()
_MOST_SHOWN: Final = 10_000  # calls in hand anywhere; senders have fewer


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether anything is sent, who changed that and when, and the calls that are under way all the same.

    `sure` is False while Redis does not answer: then `in_flight` is all that is claimed, and some of it may not go.
    """

    hold: Hold
    in_flight: tuple[InHand, ...] = ()
    sure: bool = True

    @property
    def sending(self) -> bool:
        return not self.hold.held


def stop(db: Db, mirror: Holds, fences: Fences, *, by: str) -> Switch:
    """Send nothing any more, until `start`: when this returns, no fence is crossed. Calls that were begun are finished,
    and are named. Stopping again changes nothing. Raises Unavailable: then nothing was changed."""
    agree(db, mirror, EVERYTHING)
    hold = holds.change(db, EVERYTHING, held=True, by=by, now=server_now(db))
    log.warning("sending_stopped", by=hold.by, at=hold.at)
    mirror_or_say(mirror, hold)
    return switch(db, mirror, fences)


def start(db: Db, mirror: Holds, fences: Fences, *, by: str) -> Switch:
    """Send again. What waited goes now; due instants that were missed are decided by the misfire rule. Starting again
    changes nothing. Raises Unavailable: then nothing was changed."""
    agree(db, mirror, EVERYTHING)
    hold = holds.change(db, EVERYTHING, held=False, by=by, now=server_now(db))
    log.warning("sending_started", by=by)
    mirror_or_say(mirror, hold)
    return switch(db, mirror, fences)


def switch(db: Db, mirror: Holds, fences: Fences) -> Switch:
    """How it stands. Raises Unavailable where MongoDB is away."""
    hold, of_one_mind = _agree(db, mirror, EVERYTHING)
    if not hold.held:
        return Switch(hold)
    in_hand = dispatch_tallies.in_hand_anywhere(db, limit=_MOST_SHOWN)
    in_flight, sure = called_among(fences, in_hand) if of_one_mind else (tuple(in_hand), False)
    return Switch(hold, in_flight, sure)


def require_sending(db: Db) -> None:
    """Raises SendingStopped: for the few calls to a provider that carry no dispatch."""
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
    """In words, while all sending is stopped."""
    hold = holds.get(db, EVERYTHING)
    return in_words(hold) if hold.held else None


def in_words(hold: Hold) -> str:
    """Who stopped all sending, and when."""
    return f"All sending was stopped by {hold.by or 'somebody'}" + (
        f" at {hold.at:%Y-%m-%d %H:%M:%S} UTC" if hold.at else ""
    )


def called_among(fences: Fences, in_hand: Collection[InHand]) -> tuple[tuple[InHand, ...], bool]:
    """Those of these claimed dispatches that have crossed their fence and of which no outcome is known; and whether
    that is sure. What has not crossed under a hold does not go."""
    if not in_hand:
        return (), True
    try:
        found, _ = fences.read([(one.lane, one.id) for one in in_hand])
    except Unavailable:
        return tuple(in_hand), False
    crossed = [one for one in in_hand if (f := found[one.id]).state is FenceState.CROSSED and f.claim_id == one.claim]
    return tuple(crossed), True


def look(db: Db, mirror: Holds) -> Standing:
    """What is held now, after the switch was made the same in both stores. Raises Unavailable."""
    agree(db, mirror, EVERYTHING)
    return holds.standing(db)


def agree(db: Db, mirror: Holds, id_: str, *, of: ScheduleId | None = None) -> Hold:
    """Make a hold, of a run of this schedule or of all sending, the same in both stores; where Redis is away, MongoDB's
    stands. Raises Unavailable."""
    return _agree(db, mirror, id_, of=of)[0]


def _agree(db: Db, mirror: Holds, id_: str, *, of: ScheduleId | None = None) -> tuple[Hold, bool]:
    """The hold, and whether both stores are known to have it.

    Redis is read first: whatever it shows, MongoDB had reached before, unless it was put back to an older copy.
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


def agree_on_runs(db: Db, mirror: Holds, refused: Collection[RunId]) -> None:
    """Fences of these runs were not crossed: what Redis holds, MongoDB holds too, or Redis learns that it was lifted.

    Raises Unavailable.
    """
    for run_id, schedule_id in runs.open_among(db, refused).items():
        hold = agree(db, mirror, run_id, of=schedule_id)

        def work(session: Session, run_id: RunId = run_id, hold: Hold = hold) -> None:
            runs.mark_paused(db, [run_id], by=hold.by, now=hold.at, session=session)

        if hold.held:
            in_transaction(db, work)


def mirror_or_say(mirror: Holds, hold: Hold) -> bool:
    """False where Redis is away: no fence is crossed meanwhile either, and senders mirror it as soon as it is back."""
    try:
        mirror.mirror(hold)
    except Unavailable as error:
        log.warning("hold_not_mirrored", hold=hold.id, held=hold.held, error=str(error))
        return False
    return True
