"""Lanes: taken, shared among the senders, and released, by the loop's thread only.

The lanes that our lease holds in etcd and the lanes that this process works in must be the same set. A lost answer, a
request that etcd reads late, or a lane that its fences refuse makes them differ. So `reconcile` compares both
periodically and after each error: it releases a key of ours whose lane this process does not work in, and drops a lane
whose key is not ours any more.
"""

import contextlib
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.ids import Lane, revision_of
from mailroom.domain.lane_names import MAIL_LANES, SCHEDULE_LANES
from mailroom.services.common.clock import server_now
from mailroom.services.dispatching import lanes as dispatching_lanes
from mailroom.watching.lanes import lanes_changed, lease_changed
from sender.in_flight import InFlight

log = structlog.get_logger()
_SHOWN: Final = 20  # names in a log line
_LANES_A_STEP: Final = 200
_FEWEST_LANES: Final = 20
_LOOKED_AT: Final = 2_000  # lanes in one look, those that others hold included
# Due instants are known ahead and their lanes taken ahead, so looks can be rare. Other work waits for a look.
AHEAD: Final = timedelta(seconds=3)
_LOOK_FOR_LANES_S: Final = 0.5
_LOOK_AGAIN_S: Final = 0.1
# The bound of a pause, however long the look took: a look at a frozen store does not predict the next one.
_MOST_PAUSE_S: Final = 2.0
_LOOK_FOR_SHARE_S: Final = 1.2
_SET_ASIDE_S: Final = 60.0
# No unnoticed difference between keys and lanes lasts longer than this while there is work; see rest.py for the rest.
_RECONCILE_S: Final = 3.0
# A lane without work stays held for this long: it was taken ahead, or its next chunk is on the way.
GIVE_BACK_S: Final = 4.0


class Lanes:
    def __init__(self, services: SenderServices, in_flight: InFlight, *, sender: str) -> None:
        self._services, self._in_flight, self._sender = services, in_flight, sender
        self._forgotten = threading.Event()
        self._broken: deque[Lane] = deque()
        self.redis_identity = ""  # Redis' identity under which every held lane was entered
        self._look_at = self._share_at = 0.0
        self._quiet = False  # the last look at all lanes found no work
        self._senders = 1  # live senders, as seen at the last look
        self._set_aside: dict[Lane, float] = {}
        self._reconcile_at = 0.0
        self._most = services.settings.sending.schedules_per_sender

    def replace_lease(self) -> None:
        """Begin a new lease, without the lanes of the old one. Raises Unavailable.

        The old lease is given up before anything can fail: the heartbeat must not keep alive lanes that nobody works
        in.
        """
        self._services.leases.give_up()
        lost = self._in_flight.tokens()
        if lost:
            log.warning("lease_lost", lanes=len(lost))
            lease_changed("lost")
        self._in_flight.drop_all_lanes()
        self._reconcile_at = 0.0
        server_now(self._services.db)  # raises without MongoDB: we could not work in the lanes, but others could
        self._services.leases.begin()
        lease_changed("begun")

    def reconcile_if_due(self) -> None:
        """Reconcile if it is due. Raises Unavailable; it then stays due."""
        if time.monotonic() >= self._reconcile_at:
            self.reconcile()
            self._reconcile_at = time.monotonic() + _RECONCILE_S * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def reconcile(self) -> None:
        """Make our keys and our lanes the same set. If our presence is gone, so is our lease: replace it."""
        keys = self._services.leases.keys_of_ours()
        if keys is None:
            self.replace_lease()
            return
        held = {lane: revision_of(token) for lane, token in self._in_flight.tokens().items()}
        ours = {key.lane: key.revision for key in keys if key.bound}
        lost = [lane for lane, revision in held.items() if ours.get(lane) != revision]
        if lost:
            log.warning("lanes_dropped", lanes=lost[:_SHOWN], count=len(lost))
            self._in_flight.drop_lanes(lost)
        stray = {k.lane: k.revision for k in keys if not k.bound or held.get(k.lane) != k.revision}
        if stray:
            log.warning("lanes_released", lanes=list(stray)[:_SHOWN], count=len(stray))
            lanes_changed("stray", len(stray))
            self._services.leases.release(stray)

    def take_wanted(self, now: datetime) -> int:
        """Take lanes of schedules with work that no sender holds. Returns how many. Raises Unavailable."""
        room = self._most - (len(self._in_flight.tokens()) - len(self._in_flight.mail_lanes()))
        if room <= 0 or time.monotonic() < self._look_at:
            return 0
        started = time.monotonic()
        self._set_aside = {lane: until for lane, until in self._set_aside.items() if until > started}
        left_out = [*self._in_flight.tokens(), *self._set_aside, *self._in_flight.always]
        wanted = self._wanting_work(now, left_out)
        if wanted:
            taken = self._services.leases.held_by_anybody(SCHEDULE_LANES)
            wanted = [lane for lane in wanted if lane not in taken]
        ended = time.monotonic()
        self._look_at = ended + pause_of_looks(ended - started, found=bool(wanted))
        if not wanted:
            return 0
        # Senders that look at the same moment see the same lanes, so each chooses at random. Each leaves lanes for the
        # senders that have not looked yet: all senders together finish soonest what is due at one moment.
        count = min(lanes_a_look(len(wanted), senders=self._senders), room)
        chosen = random.sample(wanted, min(len(wanted), count))
        return self._take(chosen, now)

    def _wanting_work(self, now: datetime, left_out: Sequence[Lane]) -> list[Lane]:
        """Lanes with work. While there are none, a look is one cheap query."""
        db = self._services.db
        if self._quiet and not dispatching_lanes.may_want_work(db, now=now, ahead=AHEAD, leave_out=left_out):
            return []
        wanted = dispatching_lanes.lanes_wanting_work(db, now=now, ahead=AHEAD, limit=_LOOKED_AT, leave_out=left_out)
        self._quiet = not wanted
        return wanted

    def take_share(self, now: datetime) -> int:
        """Keep all lanes of single mails held at all times, divided evenly among the live senders."""
        if time.monotonic() < self._share_at:
            return 0
        self._share_at = time.monotonic() + _LOOK_FOR_SHARE_S * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        held, mail_lanes = self._in_flight.mail_lanes(), self._in_flight.always
        self.give_back(self._in_flight.left_lanes())
        # etcd shows no sender if it has lost all leases, ours included, and no sender has noticed yet.
        self._senders = max(1, self._services.leases.senders())
        share = -(-len(mail_lanes) // self._senders)
        self._in_flight.leave(held[share:])
        missing = share - len(held)
        if missing <= 0:
            return 0
        free = sorted(set(mail_lanes) - self._services.leases.held_by_anybody(MAIL_LANES))
        return self._take(random.sample(free, min(missing, len(free))), now)

    def give_back_all(self) -> None:
        self.give_back(list(self._in_flight.tokens()))

    def give_back_idle(self) -> None:
        """Release the lanes without activity for a while."""
        self.give_back(self._in_flight.idle_lanes(before=time.monotonic() - GIVE_BACK_S))

    def give_back(self, lanes: Sequence[Lane]) -> None:
        """Drop and release these lanes. If the answer is lost, `reconcile` releases the keys of the dropped lanes."""
        held = self._in_flight.tokens()
        revisions = {lane: revision_of(held[lane]) for lane in lanes if lane in held}
        if not revisions:
            return
        self._in_flight.drop_lanes(revisions, change="given_back")
        with self._reconciled_on_error():
            self._services.leases.release(revisions)

    def note_broken(self, lane: Lane) -> None:
        """Note a lane whose schedule cannot be planned: nothing more is planned or claimed in it, and the loop then
        sets it aside. Thread-safe."""
        self._in_flight.leave([lane])
        self._broken.append(lane)

    def set_aside_broken(self) -> None:
        """Release the lanes that were noted, and take none of them again for a minute: this makes room for the others.
        A lane with dispatches in flight is released once these have ended: the next holder would take them for a crash
        of ours, and fail them after three."""
        if not self._broken:
            return
        while self._broken:
            self._set_aside[self._broken.popleft()] = time.monotonic() + _SET_ASIDE_S
        self.give_back(self._in_flight.left_lanes())  # or at a later `take_share`

    def redis_forgot(self) -> None:
        """Note that Redis has changed: the loop then enters every lane there again. Thread-safe."""
        self._forgotten.set()

    def reenter(self) -> None:
        """If a change of Redis was noted, enter every held lane there again. Raises Unavailable."""
        if self._forgotten.is_set():
            self._forgotten.clear()
            self._note_redis_identity(self._services.fences.redis_identity())

    def _take(self, lanes: Sequence[Lane], now: datetime) -> int:
        """Take the free ones of these lanes. After an error half-way, `reconcile` releases the keys of lanes that this
        process does not work in."""
        services = self._services
        with self._reconciled_on_error():
            tokens, redis_identity = dispatching_lanes.take_lanes(
                services.db, services.leases, services.fences, lanes, sender=self._sender, now=now
            )
        if tokens:
            self._in_flight.take_lanes(tokens, at=time.monotonic())
            self._note_redis_identity(redis_identity)
            log.debug("lanes_taken", count=len(tokens))
        return len(tokens)

    @contextlib.contextmanager
    def _reconciled_on_error(self) -> Iterator[None]:
        """After an error in this block, keys and lanes are compared before anything else is done."""
        reconcile_at, self._reconcile_at = self._reconcile_at, 0.0
        yield
        self._reconcile_at = reconcile_at

    def _note_redis_identity(self, redis_identity: str) -> None:
        """After a change of Redis' identity, enter every held lane again under the new identity."""
        if self.redis_identity and redis_identity != self.redis_identity:
            log.warning("redis_changed", was=self.redis_identity, now=redis_identity)
            tokens = self._in_flight.tokens()
            entered, redis_identity = self._services.fences.enter(tokens)
            self._in_flight.drop_lanes(lane for lane in tokens if lane not in entered)  # `reconcile` releases them
        self.redis_identity = redis_identity


def lanes_a_look(wanted: int, *, senders: int) -> int:
    """The most lanes that each of `senders` senders takes in one look, of `wanted` lanes with work."""
    return min(max(-(-wanted // (6 * senders)), _FEWEST_LANES), _LANES_A_STEP)


def pause_of_looks(took_s: float, *, found: bool) -> float:
    """Seconds from the end of a look to the next one.

    A look gets slower with all the work that waits. It may take a tenth of the time; half of it while lanes are free
    that a look takes only a part of, or the last of many schedules that are due together would be taken seconds late.
    The pause is bounded so that a due instant is seen before it comes."""
    least, share = (_LOOK_AGAIN_S, 1) if found else (_LOOK_FOR_LANES_S, 9)
    return max(least - took_s, min(share * took_s, _MOST_PAUSE_S))
