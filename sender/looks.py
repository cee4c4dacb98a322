"""Finds the dispatches to claim next: one that goes alone, urgent ones for the reserved connections, or the most
urgent of all."""

import time
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import islice
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
_READ_AGAIN: Final = 100  # noted dispatches, where some of those that were read first may not be claimed any more
_LOOK_AGAIN_S: Final = 0.1  # after a look beside the noting that found nothing
_MOST_BYTES: Final = 64 * 1024 * 1024  # of single mails' bodies and campaigns' files, in memory at once


class Looks:
    """For the loop's thread, except `became_visible`."""

    def __init__(
        self, services: SenderServices, in_flight: InFlight, guard: RestoreGuard, connections: Connections
    ) -> None:
        self._db, self._in_flight, self._guard, self._connections = services.db, in_flight, guard, connections
        self._look_for_alone_at = self._look_for_urgent_at = 0.0
        self._look_beside_at = self._look_at_mixed_at = 0.0
        self._waits: set[Lane] = set()  # lanes that waited at the last look
        self._look_back, self._urgent_look_back, self._backlog = LookBack(), LookBack(), Backlog()
        # Claims one by one would cost more than very fast calls do, so claims wait until there is room for several.
        self._least_room = max(1, connections.limit // 4)

    def waiting(
        self, held: Mapping[Lane, Token], now: datetime, room: int, *, planned: Collection[Lane] = ()
    ) -> Waiting:
        """The dispatches that may be claimed now, the most urgent first. While a dispatch waits to go alone, no other
        is begun. `room`: calls that may still begin, without the reserved ones; below a quarter of the limit only
        urgent dispatches are found. `planned`: lanes in which nothing can be claimed now; what waits there takes no
        room of others. Raises Unavailable."""
        if time.monotonic() >= self._look_for_alone_at:
            alone = claims.claimable_alone(self._db, held, now=now, on_hold=self._guard.on_hold)
            if len(alone):
                return alone if not self._in_flight.in_hand() else Waiting()
            self._look_for_alone_at = time.monotonic() + _LOOK_FOR_ALONE_S
        if room < self._least_room:
            return self._urgent(now)
        try:
            return self._most_urgent(held, now, self._room(room), frozenset(planned))
        except BaseException:
            self._forget()
            raise

    def note_handed_over(self, waiting: Waiting, count: int) -> None:
        """So many of these were handed over. If these are all, they are noted no more; otherwise what waits behind them
        is looked at soon, for it may go."""
        if count == len(waiting):
            self._backlog.drop([dispatch.id for dispatch in waiting.dispatches])
        else:
            self._look_back.hurry()
            self._urgent_look_back.forget()

    def noted_among(self, lanes: Collection[Lane]) -> set[Lane]:
        """The lanes among these in which something is known to wait."""
        return self._backlog.lanes_among(lanes)

    def let_others_go(self) -> None:
        """What goes alone cannot go now: others may go before it for a moment."""
        self._look_for_alone_at = time.monotonic() + _LOOK_FOR_ALONE_S

    def became_visible(self, *, since: datetime) -> None:
        """New dispatches can be seen, due from `since` on: the next look goes back that far. Thread-safe."""
        self._look_back.became_visible(since=since)

    def _most_urgent(self, held: Mapping[Lane, Token], now: datetime, room: Room, planned: frozenset[Lane]) -> Waiting:
        """The most urgent of the held lanes. Lanes that wait are left out. A lane with a run on hold is looked at by
        its other runs, and beside the noting: a scan of the lane would pass over all of that run."""
        on_hold = self._guard.on_hold.lanes & held.keys()
        if self._waits:
            self._waits = claims.waiting_lanes(self._db, held, now=now)
        free = _without(held, on_hold | self._waits)
        waiting = self._new(free, now, room, planned)
        if waiting is None:
            waiting = self._all(free, now, room, planned)
        if mixed := on_hold - self._waits - planned:
            others = self._of_other_runs(_without(held, held.keys() - mixed), now, room)
            return claims.most_urgent_within([*waiting.dispatches, *others.dispatches], room)
        return waiting

    def _new(self, held: Mapping[Lane, Token], now: datetime, room: Room, planned: frozenset[Lane]) -> Waiting | None:
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
        noted = self._noted(held, now, room.dispatches - len(new), planned)
        if not noted and self._backlog.lanes_among(planned):
            return self._beside(planned, held, now, room) or new
        if not noted or claims.waiting_lanes(self._db, held, now=now):
            return None
        return claims.most_urgent_within([*new.dispatches, *noted], room)

    def _noted(self, held: Mapping[Lane, Token], now: datetime, most: int, planned: frozenset[Lane]) -> list[Claimable]:
        """At least `most` of the noted dispatches that may be claimed now, if there are so many. Those that may not be
        claimed any more are noted no more."""
        found: list[Claimable] = []
        coming, count = self._backlog.ids(leave_out=planned), most
        while len(found) < most and (ids := list(islice(coming, count))):
            read = claims.claimable_among(self._db, ids, held, now=now)
            self._backlog.drop(set(ids) - {dispatch.id for dispatch in read})
            found, count = [*found, *read], max(most - len(found), _READ_AGAIN)
        return found

    def _beside(
        self, planned: frozenset[Lane], held: Mapping[Lane, Token], now: datetime, room: Room
    ) -> Waiting | None:
        """What waits in the other lanes, where all that is noted waits in lanes that are being planned. None while a
        look a moment ago found nothing."""
        if time.monotonic() < self._look_beside_at:
            return None
        free = _without(held, planned)
        found = claims.claimable(self._db, free, now=now, room=room, on_hold=self._guard.on_hold)
        if not len(found):
            self._look_beside_at = time.monotonic() + _LOOK_AGAIN_S
        return found

    def _of_other_runs(self, mixed: Mapping[Lane, Token], now: datetime, room: Room) -> Waiting:
        """What waits in lanes in which runs are on hold, of their other runs."""
        if time.monotonic() < self._look_at_mixed_at:
            return Waiting()
        found = claims.claimable(self._db, mixed, now=now, room=room, on_hold=self._guard.on_hold)
        if not len(found):
            self._look_at_mixed_at = time.monotonic() + _LOOK_AGAIN_S
        return found

    def _all(self, held: Mapping[Lane, Token], now: datetime, room: Room, planned: frozenset[Lane]) -> Waiting:
        """The most urgent of all that is due, as many as there is room for. These and those after them are noted, and
        what waits in lanes that are being planned."""
        free = _without(held, planned)
        waiting = claims.claimable(self._db, free, now=now, room=room, on_hold=self._guard.on_hold)
        all_found = not waiting.more and not planned & held.keys()
        if waiting.lanes_left_out:
            self._waits = claims.waiting_lanes(self._db, held, now=now)
            held = _without(held, self._waits)
        queue = _places(waiting) if all_found else claims.queue(self._db, held, now=now, limit=_NOTED)
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
    return [InQueue(one.rank, one.not_before, one.id, one.lane) for one in waiting.dispatches]


def _without(held: Mapping[Lane, Token], lanes: Collection[Lane]) -> Mapping[Lane, Token]:
    return {lane: token for lane, token in held.items() if lane not in lanes} if lanes else held
