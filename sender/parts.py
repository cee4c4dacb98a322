"""Build the parts of a sender and connect them: each hands its results on to the next."""

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.lane_names import mail_lanes
from mailroom.services.common.clock import Clocks
from mailroom.watching import lanes as lane_metrics
from sender.caller import Caller, Ended, Job
from sender.change_watch import ChangeWatch
from sender.claimer import Claimer
from sender.connections import Connections
from sender.counts import note_lateness
from sender.faults import Faults
from sender.feed_keeper import FeedKeeper
from sender.fencer import Fencer
from sender.in_flight import InFlight
from sender.lane_turns import LaneTurns
from sender.lanes import Lanes
from sender.loop import Loop
from sender.mailbox_reader import MailboxReader
from sender.pace import Pace
from sender.planner import Planner
from sender.presence import Presence
from sender.provider_health import ProviderHealth
from sender.provider_router import ProviderRouter
from sender.rate_limits import Throttle
from sender.reconciler import Reconciler
from sender.recorder import Recorder
from sender.rest import Rest
from sender.restore_guard import RestoreGuard
from sender.speeds import Speeds

log = structlog.get_logger()
# Connections beyond the calls in flight: their dispatches are claimed during other calls, so that no call waits.
_MOST_SPARE: Final = 128
# For each of these calls in flight there may be one more call for urgent mail.
_RESERVED: Final = 8
_WRITE_S: Final = 15.0
_ASK_S: Final = 0.5
_PLAN_S: Final = 5.0


class Parts:
    """The loop and the parts that it works with. `start` starts the threads of `planner`, `fencer`, `caller`,
    `recorder`, `reconciler`, `feed_keeper`, `mailbox_reader` and `changes`; `presence` is started by itself, before
    them. `progress` is set when a call has ended, so that there is room for another, when something was planned,
    when something changed while `rest` waits for that, and when the sender is to end."""

    def __init__(self, services: SenderServices, *, sender: str) -> None:
        sending, adapters = services.settings.sending, services.adapters
        spare, reserved = min(2 * sending.concurrency, _MOST_SPARE), max(1, sending.concurrency // _RESERVED)
        self.progress = threading.Event()
        self.in_flight = InFlight(always=frozenset(mail_lanes(sending.mail_lanes)))
        lanes, guard = Lanes(services, self.in_flight, sender=sender), RestoreGuard(services)
        pace, speeds = Pace(adapters.keys(), time.monotonic), Speeds(adapters.keys(), time.monotonic)
        router, throttle, faults = ProviderRouter(services, pace, speeds), Throttle(services), Faults(services)
        self._connections = Connections(
            {name: adapter.connection for name, adapter in adapters.items()},
            most={name: adapter.max_connections for name, adapter in adapters.items()},
            limit=sending.concurrency + spare + reserved,
            reserved=reserved,
            reachability=router.reachability,
            not_reached=faults.note,
        )
        health = ProviderHealth(router, throttle, pace, speeds, faults)
        self.recorder = Recorder(services, self.in_flight, router, health)
        self.caller = Caller(
            most_calls=sending.concurrency,
            reserved=reserved,
            may_call=lambda: services.leases.held,
            done=self._calls_ended,
        )
        self.fencer = Fencer(
            services.fences,
            self.caller,
            most_calls=sending.concurrency,
            reserved=reserved,
            done=self._jobs_ended,
            dropped=self._lanes_lost,
            forgotten=lanes.redis_forgot,
            held=lambda claimed: guard.refused(dispatch.run_id for dispatch in claimed),
        )
        clocks = Clocks(services.db)
        self.changes = ChangeWatch(services.db, changed=self.progress.set)
        self.rest = Rest(services, self.in_flight, guard, clocks, self.changes)
        self.reconciler = Reconciler(services, self.in_flight, clocks, resting=lambda: self.rest.resting, sender=sender)
        self.feed_keeper = FeedKeeper(services, self.in_flight, mark=lambda: guard.seen.mark)
        self.mailbox_reader = MailboxReader(services, sender=sender)
        claimer = Claimer(
            services,
            self.in_flight,
            lanes,
            guard,
            router,
            throttle,
            pace,
            self._connections,
            self.fencer,
            self.recorder,
            turns := LaneTurns(),
            sender=sender,
        )
        self._claimer = claimer
        self.planner = Planner(
            services, self.in_flight, guard, turns, planned=self._note_planned, broken=lanes.note_broken
        )
        self.presence = Presence(services, self.in_flight, sender=sender)
        self.loop = Loop(
            services,
            self.in_flight,
            lanes,
            guard,
            claimer,
            self.planner,
            self.presence,
            clocks,
            sender=sender,
            taken=self._lanes_taken,
        )
        lane_metrics.show(held=self.in_flight.lanes_held, in_hand=self.in_flight.in_hand, idle_s=self.idle_s)

    def start(self) -> None:
        """Start the threads that send."""
        self.recorder.start()
        self.planner.start()
        self.reconciler.start()
        self.feed_keeper.start()
        self.mailbox_reader.start()
        self.changes.start()
        self.caller.start()
        self.fencer.start()

    @property
    def alive(self) -> bool:
        """False if a thread that plans, or one between claim and outcome, has died of a bug; this process must end."""
        return self.planner.alive and self.caller.alive and self.fencer.alive

    def idle_s(self) -> float:
        """Seconds since the last completed round of the loop, or step of planning, whichever is longer. Thread-safe."""
        return max(self.loop.idle_s(), self.planner.idle_s())

    def finish(self) -> None:
        """Take no turn of planning and cross no fence any more, let the calls in flight end, wait for the turn of
        planning under way, and record the outcomes."""
        self.planner.end()
        self.fencer.finish()
        self.caller.finish()
        self.planner.finish(within_s=_PLAN_S)
        self.reconciler.finish(within_s=_ASK_S)
        self.feed_keeper.finish(within_s=_ASK_S)
        self.mailbox_reader.finish(within_s=_ASK_S)
        if not self.recorder.finish(within_s=_WRITE_S):
            log.error("outcomes_left_unwritten", in_hand=self.in_flight.in_hand())
        self.changes.finish(within_s=_ASK_S)

    def close(self) -> None:
        self._connections.close()
        self.caller.close()

    def _lanes_taken(self) -> None:
        self.planner.wake()
        self.feed_keeper.wake()

    def _note_planned(self, since: datetime) -> None:
        self._claimer.note_planned(since)
        self.progress.set()

    def _calls_ended(self, ended: Sequence[Ended]) -> None:
        for job, result in ended:
            note_lateness(job.claimed, result.outcome, job.due_at)
        self.fencer.ended(job for job, _ in ended)
        self._jobs_ended(ended)

    def _lanes_lost(self, jobs: Sequence[Job]) -> None:
        """The fences have seen higher tokens. The newer holders have judged these dispatches, or will."""
        self.in_flight.drop_stale({job.claimed.claim.lane: job.claimed.claim.token for job in jobs})
        self.in_flight.done(job.claimed for job in jobs)
        self._connections.give_back([job.connection for job in jobs])

    def _jobs_ended(self, ended: Sequence[Ended]) -> None:
        self.recorder.hand_in(result for _, result in ended)
        self._connections.give_back([job.connection for job, _ in ended])
        self.progress.set()
