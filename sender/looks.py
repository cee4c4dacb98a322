"""Finds the dispatches to claim next: one that goes alone, urgent ones for the reserved connections, or the most
urgent of all."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from mailroom.assembly.sender import SenderServices
from mailroom.domain.dispatches.model import Claimable, InQueue
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import Lane, Token
from mailroom.domain.lane_names import MAIL_LANES
from mailroom.services.dispatching import claims
from mailroom.services.dispatching.claims import DueSince, Room, Waiting
from sender.backlog import Backlog
from sender.connections import Connections
from sender.in_flight import InFlight
from sender.look_back import LookBack
from sender.restore_guard import RestoreGuard

_LOOK_FOR_ALONE_S: Final = 1.0
_LOOK_FOR_URGENT_S: Final = 0.02
_NOTED: Final = 1_000  # dispatches of one look: so few that they are soon claimed, so many that such looks are rare
_MOST_BYTES: Final = 64 * 1024 * 1024  # of single mails' bodies and campaigns' files, in memory at once


class Looks:
    """For the loop's thread, except `became_visible`."""

    def __init__(
        self, services: SenderServices, in_flight: InFlight, guard: RestoreGuard, connections: Connections
    ) -> None:
        self._db, self._in_flight, self._guard, self._connections = services.db, in_flight, guard, connections
        self._look_for_alone_at = self._look_for_urgent_at = 0.0
        self._look_back, self._urgent_look_back, self._backlog = LookBack(), LookBack(), Backlog()
        # Claims one by one would cost more than very fast calls do, so claims wait until there is room for several.
        self._least_room = max(1, connections.limit // 4)

    def waiting(self, held: Mapping[Lane, Token], now: datetime, room: int) -> Waiting:
        """The dispatches that may be claimed now, the most urgent first. While a dispatch waits to go alone, no other
        is begun. `room`: calls that may still begin, without the reserved ones; below a quarter of the limit only
        urgent dispatches are found. Raises Unavailable."""
        if time.monotonic() >= self._look_for_alone_at:
            alone = claims.claimable_alone(self._db, held, now=now, on_hold=self._guard.on_hold)
            if len(alone):
                return alone if not self._in_flight.in_hand() else Waiting()
            self._look_for_alone_at = time.monotonic() + _LOOK_FOR_ALONE_S
        if room < self._least_room:
            return self._urgent(now)
        try:
            new = self._new(held, now, self._room(room))
            return new if new is not None else self._all(held, now, self._room(room))
        except BaseException:
            self._forget()
            raise

    def handed_over(self, waiting: Waiting) -> None:
        """All of these were handed over: they are noted no more."""
        self._backlog.drop([dispatch.id for dispatch in waiting.dispatches])

    def let_others_go(self) -> None:
        """What goes alone cannot go now: others may go before it for a moment."""
        self._look_for_alone_at = time.monotonic() + _LOOK_FOR_ALONE_S

    def became_visible(self, *, since: datetime) -> None:
        """New dispatches can be seen, due from `since` on: the next look goes back that far. Thread-safe."""
        self._look_back.became_visible(since=since)

    def _new(self, held: Mapping[Lane, Token], now: datetime, room: Room) -> Waiting | None:
        """What became due since, and what was noted. While something is noted, only what is more urgent is looked for:
        all else goes after it. None where a look at all is needed."""
        since = self._look_back.since(held, at=time.monotonic())
        if since is None or self._backlog.used_up:
            return None
        above = self._backlog.rank
        new = Waiting()
        if above is not Rank.HIGH:
            due = DueSince(since, above)
            found = claims.newly_due(self._db, held, due=due, now=now, room=room, on_hold=self._guard.on_hold)
            if found is None:
                return None
            new = found
        if above is None:
            self._look_back.saw_new(through=now)
            self._backlog.note(_places(new), beyond=False)
            return new
        if len(new) == room.dispatches:
            return new
        noted = self._noted(held, now, room.dispatches - len(new))
        if not noted or claims.waiting_lanes(self._db, held, now=now):
            return None
        return claims.most_urgent_within([*new.dispatches, *noted], room)

    def _noted(self, held: Mapping[Lane, Token], now: datetime, most: int) -> list[Claimable]:
        """Up to `most` of the noted dispatches that may still be claimed. Those that may not are noted no more."""
        found: list[Claimable] = []
        while len(found) < most and (ids := self._backlog.ids(len(found), most - len(found))):
            read = claims.claimable_among(self._db, ids, held, now=now)
            self._backlog.drop(set(ids) - {dispatch.id for dispatch in read})
            found += read
        return found

    def _all(self, held: Mapping[Lane, Token], now: datetime, room: Room) -> Waiting:
        """The most urgent of all that is due, as many as there is room for. These and those after them are noted,
        unless lanes were left out."""
        waiting = claims.claimable(self._db, held, now=now, room=room, on_hold=self._guard.on_hold)
        if waiting.lanes_left_out:
            self._forget()
            return waiting
        queue = claims.queue(self._db, held, now=now, limit=_NOTED) if waiting.more else _places(waiting)
        self._backlog.note(queue, beyond=len(queue) >= _NOTED)
        self._look_back.saw_all(held, through=now, at=time.monotonic())
        return waiting

    def _forget(self) -> None:
        self._look_back.forget()
        self._backlog.forget()

    def _urgent(self, now: datetime) -> Waiting:
        """Urgent dispatches, for the reserved connections; used while there is no room for others."""
        held = {
            lane: token for lane, token in self._in_flight.claimable_tokens().items() if lane.startswith(MAIL_LANES)
        }
        room = self._connections.room(urgent=True)
        if not held or room <= 0 or time.monotonic() < self._look_for_urgent_at:
            return Waiting()
        at, on_hold = time.monotonic(), self._guard.on_hold
        self._look_for_urgent_at = at + _LOOK_FOR_URGENT_S
        if since := self._urgent_look_back.since(held, at=at):
            due = DueSince(since, more_urgent_than=Rank.NORMAL)
            new = claims.newly_due(self._db, held, due=due, now=now, room=self._room(room), on_hold=on_hold)
            if new is not None:
                return new
        waiting = claims.claimable(self._db, held, now=now, room=self._room(room), down_to=Rank.HIGH, on_hold=on_hold)
        if not waiting.more and not waiting.lanes_left_out:
            self._urgent_look_back.saw_all(held, through=now, at=at)
        return waiting

    def _room(self, dispatches: int) -> Room:
        return Room(
            dispatches,
            _MOST_BYTES - self._in_flight.bytes_in_hand(urgent=False),
            _MOST_BYTES // 2 - self._in_flight.bytes_in_hand(urgent=True),
        )


def _places(waiting: Waiting) -> list[InQueue]:
    return [InQueue(one.rank, one.not_before, one.id) for one in waiting.dispatches]
