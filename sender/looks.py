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
from mailroom.storage.database import Db
from mailroom.storage.holds import OnHold
from sender.backlog import Backlog
from sender.connections import Connections
from sender.in_flight import InFlight
from sender.look_back import LookBack
from sender.restore_guard import RestoreGuard

_LOOK_FOR_ALONE_S: Final = 1.0
_LOOK_FOR_URGENT_S: Final = 0.02
_MOST_WAIT_FOR_PLANNING_S: Final = 1.0
_NOTED: Final = 1_000  # dispatches of one look: so few that they are soon claimed, so many that such looks are rare
_READ_AGAIN: Final = 100  # noted dispatches of a further read, where fewer than needed may still be claimed
_LOOK_AGAIN_S: Final = 0.1  # after a look at other lanes, or at other runs, that found nothing
_MOST_BYTES: Final = 64 * 1024 * 1024  # of single mails' bodies and campaigns' files, in memory at once


class _LookApart:
    """Looks at lanes beside those that are noted, and notes nothing. It rests after a look that found nothing."""

    def __init__(self, db: Db) -> None:
        self._db, self._look_at = db, 0.0

    def look(self, held: Mapping[Lane, Token], *, now: datetime, room: Room, on_hold: OnHold) -> Waiting:
        if time.monotonic() < self._look_at:
            return Waiting()
        found = claims.claimable(self._db, held, now=now, room=room, on_hold=on_hold)
        if not len(found):
            self._look_at = time.monotonic() + _LOOK_AGAIN_S
        return found


class Looks:
    """For the loop's thread, except `became_visible`."""

    def __init__(
        self, services: SenderServices, in_flight: InFlight, guard: RestoreGuard, connections: Connections
    ) -> None:
        self._db, self._in_flight, self._guard, self._connections = services.db, in_flight, guard, connections
        self._look_for_alone_at = self._look_for_urgent_at = 0.0
        self._alone_waits_since: float | None = None  # for a lane that is being planned, on the monotonic clock
        self._beside, self._of_other_runs = _LookApart(services.db), _LookApart(services.db)
        self._waiting_lanes: set[Lane] = set()  # as of the last look
        self._look_back, self._urgent_look_back, self._backlog = LookBack(), LookBack(), Backlog()
        # Claims one by one would cost more than very fast calls do, so claims wait until there is room for several.
        self._least_room = max(1, connections.limit // 4)

    def waiting(
        self, held: Mapping[Lane, Token], now: datetime, room: int, *, being_planned: Collection[Lane] = ()
    ) -> Waiting:
        """The dispatches that may be claimed now, the most urgent first. While a dispatch waits to go alone, no other
        is begun. `room`: calls that may still begin, without the reserved ones; below a quarter of the limit only
        urgent dispatches are found. `being_planned`: lanes in which nothing can be claimed now; what waits there takes
        no room from others. Raises Unavailable."""
        if time.monotonic() >= self._look_for_alone_at:
            alone = claims.claimable_alone(self._db, held, now=now, on_hold=self._guard.on_hold)
            if len(alone):
                return alone if not self._in_flight.in_hand() else Waiting()
            self._alone_waits_since = None
            self._look_for_alone_at = time.monotonic() + _LOOK_FOR_ALONE_S
        if room < self._least_room:
            return self._urgent(now)
        try:
            return self._most_urgent(held, now, self._room(room), frozenset(being_planned))
        except BaseException:
            self._forget()
            raise

    def note_handed_over(self, waiting: Waiting, count: int) -> None:
        """`count` of these were handed over. If that is all of them, they are noted no more. Otherwise the next look at
        all comes soon: what waits behind the others may be able to go."""
        if count == len(waiting):
            self._backlog.drop([dispatch.id for dispatch in waiting.dispatches])
        else:
            self._look_back.look_at_all_soon()
            self._urgent_look_back.forget()

    def noted_among(self, lanes: Collection[Lane]) -> set[Lane]:
        """The lanes among these in which something is known to wait."""
        return self._backlog.lanes_among(lanes)

    def let_others_go(self) -> None:
        """What goes alone cannot go now: others may go before it for a moment."""
        self._look_for_alone_at = time.monotonic() + _LOOK_FOR_ALONE_S
        self._alone_waits_since = None

    def wait_for_planning(self) -> None:
        """What must go alone waits in a lane that is being planned. The next looks find it again once planning yields
        the lane. After a second, others go first for a moment."""
        now = time.monotonic()
        if self._alone_waits_since is None:
            self._alone_waits_since = now
        elif now - self._alone_waits_since >= _MOST_WAIT_FOR_PLANNING_S:
            self.let_others_go()

    def became_visible(self, *, since: datetime) -> None:
        """New dispatches can be seen, due from `since` on: the next look goes back that far. Thread-safe."""
        self._look_back.became_visible(since=since)

    def _most_urgent(
        self, held: Mapping[Lane, Token], now: datetime, room: Room, being_planned: frozenset[Lane]
    ) -> Waiting:
        """The most urgent dispatches of the held lanes, without lanes that wait. Lanes with a run on hold are looked at
        apart, by their other runs, and nothing of them is noted: a scan of such a lane would pass over the whole held
        run."""
        on_hold = self._guard.on_hold.lanes & held.keys()
        if self._waiting_lanes:
            self._waiting_lanes = claims.waiting_lanes(self._db, held, now=now)
        free = _without(held, on_hold | self._waiting_lanes)
        waiting = self._new(free, now, room, being_planned)
        if waiting is None:
            waiting = self._all(free, now, room, being_planned)
        if mixed := on_hold - self._waiting_lanes - being_planned:
            mixed_lanes = _without(held, held.keys() - mixed)
            others = self._of_other_runs.look(mixed_lanes, now=now, room=room, on_hold=self._guard.on_hold)
            return claims.most_urgent_within([*waiting.dispatches, *others.dispatches], room)
        return waiting

    def _new(
        self, held: Mapping[Lane, Token], now: datetime, room: Room, being_planned: frozenset[Lane]
    ) -> Waiting | None:
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
        noted = self._noted(held, now, room.dispatches - len(new), being_planned)
        if not noted and self._backlog.lanes_among(being_planned):  # all that is noted waits there
            free = _without(held, being_planned)
            others = self._beside.look(free, now=now, room=room, on_hold=self._guard.on_hold)
            return others if len(others) else new
        if not noted or claims.waiting_lanes(self._db, held, now=now):
            return None
        return claims.most_urgent_within([*new.dispatches, *noted], room)

    def _noted(
        self, held: Mapping[Lane, Token], now: datetime, most: int, being_planned: frozenset[Lane]
    ) -> list[Claimable]:
        """At least `most` of the noted dispatches that may be claimed now, if there are so many. Those that may not be
        claimed any more are noted no more."""
        found: list[Claimable] = []
        coming, count = self._backlog.ids(leave_out=being_planned), most
        while len(found) < most and (ids := list(islice(coming, count))):
            read = claims.claimable_among(self._db, ids, held, now=now)
            self._backlog.drop(set(ids) - {dispatch.id for dispatch in read})
            found, count = [*found, *read], max(most - len(found), _READ_AGAIN)
        return found

    def _all(self, held: Mapping[Lane, Token], now: datetime, room: Room, being_planned: frozenset[Lane]) -> Waiting:
        """The most urgent of all that is due outside of `being_planned`, as many as there is room for. Notes these,
        those after them, and what waits in the lanes being planned."""
        free = _without(held, being_planned)
        waiting = claims.claimable(self._db, free, now=now, room=room, on_hold=self._guard.on_hold)
        all_found = not (waiting.more or waiting.lanes_left_out or being_planned & held.keys())
        if waiting.lanes_left_out or being_planned:
            self._waiting_lanes = claims.waiting_lanes(self._db, held, now=now)
            held = _without(held, self._waiting_lanes)
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
