"""A whole sender: put together, run until told to stop, ended in order.

At SIGTERM: claim nothing more, let the calls in hand finish, write down what came of them, release the lanes and the
lease, close the clients. What is killed instead is found by the next holder of its lanes.
"""

import os
import random
import secrets
import socket
import threading
from collections.abc import Sequence
from typing import Final

import structlog

from config.settings import Settings
from mailroom.assembly import build_sender_services, build_writability
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import mail_lanes
from mailroom.services.operations.metrics import transaction_lifetime_s
from mailroom.services.operations.writability import why_nothing_is_sent
from sender.caller import Caller, Ended, Job
from sender.claimer import Claimer
from sender.connections import Connections
from sender.duties import start_duties
from sender.faults import Faults
from sender.fencer import Fencer
from sender.health_port import HealthPort
from sender.in_flight import InFlight
from sender.lanes import Lanes
from sender.loop import Loop
from sender.pace import Pace
from sender.provider_health import ProviderHealth
from sender.provider_router import ProviderRouter
from sender.reconciler import Reconciler
from sender.recorder import Recorder
from sender.restore_guard import RestoreGuard
from sender.throttle import Throttle

log = structlog.get_logger()
_IDLE_S: Final = 0.05
_RESTING_S: Final = 0.25  # where nothing is due soon, and nothing was done for a while
_AWAY_S: Final = 1.0
# Connections beyond the calls in flight: their dispatches are claimed while others are called, so that none waits.
_MOST_SPARE: Final = 128
# Of the calls in flight, as many again as one for each of these may be made of what is urgent.
_RESERVED: Final = 8
_WRITE_S: Final = 15.0
_ASK_S: Final = 0.5
_IDLE_TTLS: Final = 3  # lease times without a completed round until a sender is not ready


def run_sender(settings: Settings, stop: threading.Event) -> None:
    """Run until `stop` is set. Returns when everything is put away."""
    name = sender_name()
    structlog.contextvars.bind_contextvars(sender_id=name)
    Sender(settings, name).run(stop)


def sender_name() -> str:
    """Unique among all processes that ever run: a name that comes again could be taken for its predecessor."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class Sender:
    def __init__(self, settings: Settings, name: str) -> None:
        sending = settings.sending
        self._services = build_sender_services(settings, sender=name)
        self._lease_ttl_s = sending.lease_ttl_s
        self._in_flight = InFlight(always=frozenset(mail_lanes(sending.mail_lanes)))
        self._progress = threading.Event()  # a call has ended: there is room for another one
        spare, reserved = min(2 * sending.concurrency, _MOST_SPARE), max(1, sending.concurrency // _RESERVED)
        self._router, self._throttle = ProviderRouter(self._services), Throttle(self._services)
        pace, faults = Pace(self._services.adapters.keys()), Faults(self._services)
        self._lanes = Lanes(self._services, self._in_flight, sender=name)
        self._connections = Connections(
            {name: adapter.connection for name, adapter in self._services.adapters.items()},
            most={name: adapter.max_connections for name, adapter in self._services.adapters.items()},
            limit=sending.concurrency + spare + reserved,
            reserved=reserved,
            reachability=self._router.reachability,
            told=faults.tell,
        )
        self._recorder = Recorder(
            self._services, self._in_flight, self._router, ProviderHealth(self._router, self._throttle, pace, faults)
        )
        self._caller = Caller(
            most_calls=sending.concurrency,
            reserved=reserved,
            may_call=lambda: self._services.leases.held,
            done=self._calls_ended,
        )
        guard = RestoreGuard(self._services)
        self._fencer = Fencer(
            self._services.fences,
            self._caller,
            most_calls=sending.concurrency,
            reserved=reserved,
            done=self._jobs_ended,
            dropped=self._lanes_lost,
            forgotten=self._lanes.redis_forgot,
            held=lambda claimed: guard.refused(one.run_id for one in claimed),
        )
        self._reconciler = Reconciler(self._services, self._in_flight, sender=name)
        claimer = Claimer(
            self._services,
            self._in_flight,
            self._lanes,
            guard,
            self._router,
            self._throttle,
            pace,
            self._connections,
            self._fencer,
            self._recorder,
            sender=name,
        )
        self._loop = Loop(self._services, self._in_flight, self._lanes, guard, claimer, sender=name)
        self._writability = build_writability(settings, self._services.db)
        self._health_port = HealthPort(settings.web.bind, sending.port, self._why_not_ready)

    def run(self, stop: threading.Event) -> None:
        """Raises MisconfiguredStore before anything is sent."""
        self._health_port.open()
        self._check_stores(stop)
        log.info("sender_started")
        duties = start_duties(self._services, idle_s=self._loop.idle_s)
        self._recorder.start()
        self._reconciler.start()
        try:
            while not stop.is_set():
                self._one_round(stop)
        finally:
            self._drain()
            duties.shutdown(wait=False)
            self._close()
            log.info("sender_stopped")

    def _check_stores(self, stop: threading.Event) -> None:
        """Wait until the stores answer. Refuse a Redis that may throw fences away; warn of long-lived transactions."""
        while not stop.is_set():
            try:
                self._services.fences.check_eviction()
                lifetime_s = transaction_lifetime_s(self._services.db)
            except Unavailable as error:
                log.warning("sender_waits", error=str(error))
                stop.wait(_AWAY_S)
                continue
            if lifetime_s is not None and lifetime_s > self._services.settings.sending.lease_ttl_s:
                log.warning("mongodb_transactions_outlive_leases", lifetime_s=lifetime_s)
            return

    def _why_not_ready(self) -> str:
        """Why this sender cannot send; '' while it can."""
        if why := why_nothing_is_sent(self._writability.look()):
            return why
        if not self._services.leases.held:
            return "it has no lease of etcd"
        idle_s = self._loop.idle_s()
        return f"it has done nothing for {idle_s:.0f} s" if idle_s > _IDLE_TTLS * self._lease_ttl_s else ""

    def _one_round(self, stop: threading.Event) -> None:
        if not (self._caller.alive and self._fencer.alive):
            log.error("thread_died", in_hand=self._in_flight.in_hand())
            stop.set()
            return
        try:
            worked = self._loop.step()
        except Unavailable as error:
            # Known: a server is away. Wait, with jitter, so that all senders do not come back in the same moment.
            log.warning("sender_waits", error=str(error))
            stop.wait(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311
            return
        except Exception:
            # Unknown: everything in hand is guarded by its claim and its fence, so going on is sound; say it loudly.
            log.exception("sender_round_failed")
            stop.wait(_AWAY_S)
            return
        if not worked:
            self._progress.wait(_RESTING_S if self._loop.resting else _IDLE_S)
        self._progress.clear()

    def _calls_ended(self, ended: Sequence[Ended]) -> None:
        self._fencer.ended(job for job, _ in ended)
        self._jobs_ended(ended)

    def _lanes_lost(self, jobs: Sequence[Job]) -> None:
        """The fences have seen higher tokens: the newer holders have judged these dispatches, or will."""
        self._in_flight.drop_stale({job.claimed.claim.lane: job.claimed.claim.token for job in jobs})
        self._in_flight.done(job.claimed for job in jobs)
        self._connections.give_back([job.connection for job in jobs])

    def _jobs_ended(self, ended: Sequence[Ended]) -> None:
        self._recorder.hand_in(result for _, result in ended)
        self._connections.give_back([job.connection for job, _ in ended])
        self._progress.set()

    def _drain(self) -> None:
        log.info("sender_draining", in_hand=self._in_flight.in_hand())
        self._fencer.finish()
        self._caller.finish()
        self._reconciler.finish(within_s=_ASK_S)
        if not self._recorder.finish(within_s=_WRITE_S):
            log.error("outcomes_left_unwritten", in_hand=self._in_flight.in_hand())
        self._services.leases.end()  # with it every lane of ours is free

    def _close(self) -> None:
        self._health_port.close()
        self._connections.close()
        self._services.leases.close()
        self._services.fences.close_client()
        self._services.mirror.close()
        self._services.holds.close()
        self._services.circuits.close()
        self._services.rates.close()
        self._services.db.client.close()
