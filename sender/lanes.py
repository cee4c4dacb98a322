"""Lanes taken, shared and given back, by the loop's thread alone.

The lanes that our lease holds in etcd and the lanes in our hands must be the same set. A lost answer, a request that
etcd reads late, or a lane that its fences refuse makes them differ. So `reconcile` compares both now and then, and
after each error: it releases a key of ours whose lane is not in hand, and drops a lane whose key is not ours any more.
"""

import contextlib
import random
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.assembly import SenderServices
from mailroom.domain.ids import MAIL_LANES, SCHEDULE_LANES, Lane, revision_of
from mailroom.services.common.clock import server_now
from mailroom.services.dispatching import lanes as dispatching_lanes
from sender.in_flight import InFlight

log = structlog.get_logger()
_SHOWN: Final = 20  # of the names, in a log line
_LANES_A_STEP: Final = 200
_FEWEST_LANES: Final = 20
_LOOKED_AT: Final = 2_000  # lanes in a look; those that others hold are among them
# What is due is known ahead, and its lane is taken ahead; anything else waits for a look. So looks can be few.
AHEAD: Final = timedelta(seconds=3)
_LOOK_FOR_LANES_S: Final = 0.5
_LOOK_AGAIN_S: Final = 0.1
# However long a look took: a store that stood still says nothing about what the next one costs.
_MOST_PAUSE_S: Final = 2.0
_LOOK_FOR_SHARE_S: Final = 1.2
_SET_ASIDE_S: Final = 60.0
# No unseen difference between keys and hands lasts longer than this.
_RECONCILE_S: Final = 3.0
# A lane with nothing to do is kept this long: it was taken ahead, or its next chunk is on the way.
_GIVE_BACK_S: Final = 4.0


class Lanes:
    def __init__(self, services: SenderServices, in_flight: InFlight, *, sender: str) -> None:
        self._services, self._in_flight, self._sender = services, in_flight, sender
        self._forgotten = threading.Event()
        self.redis_identity = ""  # Redis' identity under which every held lane was entered
        self._look_at = self._share_at = 0.0
        self._senders = 1  # all that there are, as far as was seen
        self._set_aside: dict[Lane, float] = {}
        self._reconcile_at = 0.0
        self._most = services.settings.sending.schedules_per_sender

    def begin_anew(self) -> None:
        """Begin a new lease, without the lanes of the old one.

        The old lease is given up before anything can fail: the heartbeat must not keep lanes in nobody's hands.
        """
        self._services.leases.give_up()
        lost = self._in_flight.tokens()
        if lost:
            log.warning("lease_lost", lanes=len(lost))
        self._in_flight.drop_all_lanes()
        self._reconcile_at = 0.0
        server_now(self._services.db)  # without MongoDB we could do nothing with them, and others could
        self._services.leases.begin()

    def reconcile_now_and_then(self) -> None:
        """`reconcile`, if it is due. Raises Unavailable: then it stays due."""
        if time.monotonic() >= self._reconcile_at:
            self.reconcile()
            self._reconcile_at = time.monotonic() + _RECONCILE_S * random.uniform(0.5, 1.0)  # noqa: S311 - jitter

    def reconcile(self) -> None:
        """Make keys and hands the same set. Where our presence is gone, so is our lease: begin anew."""
        keys = self._services.leases.keys_of_ours()
        if keys is None:
            self.begin_anew()
            return
        in_hand = {lane: revision_of(token) for lane, token in self._in_flight.tokens().items()}
        ours = {key.lane: key.revision for key in keys if key.bound}
        lost = [lane for lane, revision in in_hand.items() if ours.get(lane) != revision]
        if lost:
            log.warning("lanes_dropped", lanes=lost[:_SHOWN], count=len(lost))
            self._in_flight.drop_lanes(lost)
        stray = {k.lane: k.revision for k in keys if not k.bound or in_hand.get(k.lane) != k.revision}
        if stray:
            log.warning("lanes_released", lanes=list(stray)[:_SHOWN], count=len(stray))
            self._services.leases.release(stray)

    def take_wanted(self, now: datetime) -> int:
        room = self._most - (len(self._in_flight.tokens()) - len(self._in_flight.mail_lanes()))
        if room <= 0 or time.monotonic() < self._look_at:
            return 0
        started = time.monotonic()
        self._set_aside = {lane: until for lane, until in self._set_aside.items() if until > started}
        left_out = [*self._in_flight.tokens(), *self._set_aside, *self._in_flight.always]
        wanted = dispatching_lanes.lanes_wanting_work(
            self._services.db, now=now, ahead=AHEAD, limit=_LOOKED_AT, leave_out=left_out
        )
        if wanted:
            taken = self._services.leases.held_by_anybody(SCHEDULE_LANES)
            wanted = [lane for lane in wanted if lane not in taken]
        ended = time.monotonic()
        self._look_at = ended + pause_of_looks(ended - started, found=bool(wanted))
        if not wanted:
            return 0
        # Senders that look at the same moment see the same lanes: each begins somewhere else. And it leaves some for
        # those who have not looked yet: what is due at one moment is done soonest by all.
        some = min(lanes_a_look(len(wanted), senders=self._senders), room)
        chosen = random.sample(wanted, min(len(wanted), some))
        return self._take(chosen, now)

    def take_share(self, now: datetime) -> int:
        """Keep all lanes of single mails held at all times, divided evenly among the live senders."""
        if time.monotonic() < self._share_at:
            return 0
        self._share_at = time.monotonic() + _LOOK_FOR_SHARE_S * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        held, every = self._in_flight.mail_lanes(), self._in_flight.always
        self.give_back(self._in_flight.left_lanes())
        # None are seen where etcd has lost the leases, ours among them, and nobody has noticed yet.
        self._senders = max(1, self._services.leases.senders())
        share = -(-len(every) // self._senders)
        self._in_flight.leave(held[share:])
        missing = share - len(held)
        if missing <= 0:
            return 0
        free = sorted(set(every) - self._services.leases.held_by_anybody(MAIL_LANES))
        return self._take(random.sample(free, min(missing, len(free))), now)

    def give_back_all(self) -> None:
        self.give_back(list(self._in_flight.tokens()))

    def give_back_idle(self) -> None:
        """Those in which nothing was done for a while."""
        self.give_back(self._in_flight.idle_lanes(before=time.monotonic() - _GIVE_BACK_S))

    def give_back(self, lanes: Sequence[Lane]) -> None:
        """Release these lanes. If the answer is lost, `reconcile` releases their keys: they are in hand no more."""
        held = self._in_flight.tokens()
        revisions = {lane: revision_of(held[lane]) for lane in lanes if lane in held}
        if not revisions:
            return
        self._in_flight.drop_lanes(revisions)
        with self._unless_sure():
            self._services.leases.release(revisions)

    def set_aside(self, lane: Lane) -> None:
        """Give it back, and leave it alone for a while: it makes room for the others. What is in hand of it ends first:
        its next holder would take that for a crash of ours, and give it up after three."""
        self._set_aside[lane] = time.monotonic() + _SET_ASIDE_S
        self._in_flight.leave([lane])
        self.give_back(self._in_flight.left_lanes())  # or with a later look for our share

    def redis_forgot(self) -> None:
        """The fencer has seen that Redis is another one: enter the lanes anew. Any thread may say so."""
        self._forgotten.set()

    def enter_anew(self) -> None:
        """If Redis was seen to be another one, bring every held lane there again."""
        if self._forgotten.is_set():
            self._forgotten.clear()
            self._remember(self._services.fences.redis_identity())

    def _take(self, lanes: Sequence[Lane], now: datetime) -> int:
        """Take those of these lanes that are free. After an error half-way, `reconcile` releases keys that are not in
        hand."""
        services = self._services
        with self._unless_sure():
            tokens, redis_identity = dispatching_lanes.take_lanes(
                services.db, services.leases, services.fences, lanes, sender=self._sender, now=now
            )
        if tokens:
            self._in_flight.take_lanes(tokens, at=time.monotonic())
            self._remember(redis_identity)
            log.debug("lanes_taken", count=len(tokens))
        return len(tokens)

    @contextlib.contextmanager
    def _unless_sure(self) -> Iterator[None]:
        """After an error in this block, keys and hands are compared before anything else is done."""
        reconcile_at, self._reconcile_at = self._reconcile_at, 0.0
        yield
        self._reconcile_at = reconcile_at

    def _remember(self, redis_identity: str) -> None:
        """After a change of Redis' identity every held lane is brought there again, under the new one."""
        if self.redis_identity and redis_identity != self.redis_identity:
            log.warning("redis_changed", was=self.redis_identity, now=redis_identity)
            tokens = self._in_flight.tokens()
            entered, redis_identity = self._services.fences.enter(tokens)
            self._in_flight.drop_lanes(lane for lane in tokens if lane not in entered)  # `reconcile` releases them
        self.redis_identity = redis_identity


def lanes_a_look(wanted: int, *, senders: int) -> int:
    """How many lanes one of so many senders takes at most, of so many that are wanted."""
    return min(max(-(-wanted // (6 * senders)), _FEWEST_LANES), _LANES_A_STEP)


def pause_of_looks(took_s: float, *, found: bool) -> float:
    """Seconds from the end of a look to the next one. It gets slower with what is waiting in all, and may take a tenth
    of the time; but what is due is to be seen before its instant."""
    least = _LOOK_AGAIN_S if found else _LOOK_FOR_LANES_S
    return max(least - took_s, min(9 * took_s, _MOST_PAUSE_S))
