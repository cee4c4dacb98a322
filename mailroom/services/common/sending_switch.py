"""Stop and start all sending."""

from dataclasses import dataclass
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.domain.errors import SendingStopped
from mailroom.domain.holds import EVERYTHING, Hold
from mailroom.domain.words import counted
from mailroom.services.common.calls_under_way import WHY_NOT_SURE, called_among
from mailroom.services.common.hold_mirror import agree, mirror_or_say
from mailroom.storage import holds
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import counts as dispatch_counts
from mailroom.storage.dispatches.counts import InHand

log = structlog.get_logger()
_MOST_SHOWN: Final = 10_000  # claimed dispatches of all senders; they have fewer


@dataclass(frozen=True, slots=True)
class Switch:
    """The switch for all sending: its hold, and the calls in flight while sending is stopped.

    Not `sure`: some of `in_flight` may not be called; see `Called`.
    """

    hold: Hold
    in_flight: tuple[InHand, ...] = ()
    sure: bool = True

    @property
    def sending(self) -> bool:
        return not self.hold.held


def stop(db: Db, mirror: Holds, fences: Fences, *, by: str) -> Switch:
    """Stop all sending until `start`: after this returns, no fence is crossed. The result names the calls that had
    begun; they are finished. Idempotent. Raises Unavailable; nothing was changed then."""
    agree(db, mirror, EVERYTHING)
    hold = holds.change(db, EVERYTHING, held=True, by=by, now=server_now(db))
    log.warning("sending_stopped", by=by)
    mirror_or_say(mirror, hold)
    return switch(db, mirror, fences)


def start(db: Db, mirror: Holds, fences: Fences, *, by: str) -> Switch:
    """Start all sending again. Waiting mails go now; the misfire rule decides about missed due instants. Idempotent.
    Raises Unavailable; nothing was changed then."""
    agree(db, mirror, EVERYTHING)
    hold = holds.change(db, EVERYTHING, held=False, by=by, now=server_now(db))
    log.warning("sending_started", by=by)
    mirror_or_say(mirror, hold)
    return switch(db, mirror, fences)


def switch(db: Db, mirror: Holds, fences: Fences) -> Switch:
    """The switch now. Raises Unavailable if MongoDB is away."""
    agreed = agree(db, mirror, EVERYTHING)
    if not agreed.hold.held:
        return Switch(agreed.hold)
    in_hand = dispatch_counts.in_hand_anywhere(db, limit=_MOST_SHOWN)
    called = called_among(fences, in_hand, held_in=agreed.redis_identity)
    return Switch(agreed.hold, called.in_flight, called.sure)


def require_sending(db: Db) -> None:
    """Raises SendingStopped while all sending is stopped. For the few calls to a provider that carry no dispatch."""
    hold = holds.get(db, EVERYTHING)
    if hold.held:
        raise SendingStopped(in_words(hold))


def what_still_goes(now: Switch) -> str:
    """The calls that had begun before the stop, in a sentence for pages and commands."""
    if not now.in_flight:
        return "No request is in flight."
    mails = sum(call.messages for call in now.in_flight)
    calls = f"{counted(len(now.in_flight), 'request')} with {counted(mails, 'email')}"
    if not now.sure:
        return f"Up to {calls} may still go: {WHY_NOT_SURE}."
    return f"{calls} began before: {'its outcome is' if len(now.in_flight) == 1 else 'their outcomes are'} recorded."


def why_stopped(db: Db) -> str | None:
    """The person who stopped all sending, and the time, in words; None while sending is not stopped."""
    hold = holds.get(db, EVERYTHING)
    return in_words(hold) if hold.held else None


def in_words(hold: Hold) -> str:
    """The person who stopped all sending, and the time, in words."""
    return f"All sending was stopped by {hold.by or 'somebody'}" + (
        f" at {hold.at:%Y-%m-%d %H:%M:%S} UTC" if hold.at else ""
    )
