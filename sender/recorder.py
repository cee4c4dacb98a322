"""The thread that records the outcomes of calls, many at a time, and retries while a store is away."""

import random
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextvars import copy_context
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import Accepted, CallResult, Refused
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import RunId
from mailroom.services.common.clock import Clocks, server_now
from mailroom.services.dispatching.outcomes import record
from mailroom.services.dispatching.propagation import finish_runs
from mailroom.services.reconciliation.reconcile import note_control
from sender.counts import count_mails
from sender.in_flight import InFlight
from sender.provider_health import ProviderHealth
from sender.provider_router import ProviderRouter

log = structlog.get_logger()
_AT_ONCE: Final = 500
_WAIT_S: Final = 0.5
_MOST_WAIT_S: Final = 10.0
_LINGER_S: Final = 0.02
_FINISH_S: Final = 0.2


class Recorder:
    """Results are handed in from any thread. None is dropped while this process lives."""

    def __init__(
        self, services: SenderServices, in_flight: InFlight, router: ProviderRouter, provider_health: ProviderHealth
    ) -> None:
        self._services, self._in_flight, self._router, self._provider_health = (
            services,
            in_flight,
            router,
            provider_health,
        )
        self._clocks = Clocks(services.db)
        self._control_at = self._finish_at = 0.0
        self._touched_runs: set[RunId] = set()
        self._handed_in: deque[CallResult] = deque()
        self._unwritten: list[CallResult] = []  # results that could not be written yet
        self._changed = threading.Condition()
        self._ending = False
        # In a copy of our context, so that its log lines carry the sender's id.
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hand_in(self, results: Iterable[CallResult]) -> None:
        with self._changed:
            self._handed_in.extend(results)
            self._changed.notify()

    @property
    def has_work(self) -> bool:
        """True while results wait to be recorded."""
        return bool(self._handed_in or self._unwritten)

    def finish(self, *, within_s: float) -> bool:
        """Record all results that were handed in. False if the stores were away for longer than `within_s`: the next
        holder then judges by the fences, or by their absence."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(within_s)
        return not self._thread.is_alive() and not self.has_work

    def step(self) -> bool:
        """Record a batch of new results, and the unwritten ones. False if results stay unwritten: a store is away."""
        with self._changed:
            new = [self._handed_in.popleft() for _ in range(min(_AT_ONCE, len(self._handed_in)))]
        count_mails(new)
        self._provider_health.report(new)
        self._unwritten = self._record(self._unwritten + new)
        if self._touched_runs and time.monotonic() >= self._finish_at:
            self._finish_runs()
        return not self._unwritten

    def _run(self) -> None:
        wait_s = _WAIT_S
        while self._wait(wait_s):
            wait_s = _WAIT_S if self.step() else min(2 * wait_s, _MOST_WAIT_S)
            if self._unwritten and self._ending:
                time.sleep(_WAIT_S)
        if self._touched_runs:
            self._finish_runs()

    def _wait(self, wait_s: float) -> bool:
        """Wait until results are handed in: for `wait_s` at most if results are unwritten, for a moment at most if a
        run may be finished. False once all is written and nothing more comes."""
        most_s = wait_s if self._unwritten else _FINISH_S if self._touched_runs else None
        jitter = random.uniform(0.5, 1.5)  # noqa: S311
        with self._changed:
            self._changed.wait_for(lambda: self._handed_in or self._ending, most_s * jitter if most_s else None)
            if self._handed_in:
                # Only a few claims wait for this, and large batches cost the stores far less.
                self._changed.wait_for(lambda: len(self._handed_in) >= _AT_ONCE or self._ending, _LINGER_S)
            # Under the lock, and the end first: every hand-in comes before it.
            return not self._ending or self.has_work

    def _finish_runs(self) -> None:
        """Finish runs periodically, not with every batch. The janitor finishes those that fail here."""
        runs, self._touched_runs = self._touched_runs, set()
        self._finish_at = time.monotonic() + _FINISH_S
        try:
            finish_runs(self._services.db, list(runs), now=server_now(self._services.db))
        except Exception as error:
            log.warning("runs_not_finished", count=len(runs), error=str(error))

    def _record(self, batch: list[CallResult]) -> list[CallResult]:
        """Record results. Returns the unwritten ones. Facts are written apart from refusals: a refusal that cannot be
        written while Redis is away delays no acceptance."""
        facts = [result for result in batch if not isinstance(result.outcome, Refused)]
        refusals = [result for result in batch if isinstance(result.outcome, Refused)]
        return [result for group in (facts, refusals) if group for result in self._record_group(group)]

    def _record_group(self, group: list[CallResult]) -> list[CallResult]:
        """Record a group of results. Returns all of them while a store is away. After any other error each is recorded
        alone, so that a result that cannot be written delays no other."""
        try:
            self._write(group)
        except Unavailable as error:
            log.warning("outcomes_wait", count=len(group), error=str(error))
            return group
        except Exception:
            if len(group) > 1:
                return [unwritten for result in group for unwritten in self._record_group([result])]
            # Its fence shows the call. The claim is no longer in flight, so that a take-over can judge it.
            log.exception("outcome_not_written", dispatch_id=group[0].claimed.id)
            self._in_flight.done([group[0].claimed])
        return []

    def _write(self, batch: list[CallResult]) -> None:
        services = self._services
        # The time of a doubt must never be early, so it is read afresh. For acceptances a recent reading will do.
        all_accepted = all(isinstance(r.outcome, Accepted) for r in batch)
        now = self._clocks.read().now if all_accepted else server_now(services.db)
        stale = record(
            services.db,
            services.fences,
            batch,
            delays=services.policy.delays,
            now=now,
            elsewhere=self._router.has_other_than,
        )
        self._in_flight.drop_stale(stale)
        self._in_flight.note_activity({r.claimed.claim.lane for r in batch}, at=time.monotonic())
        self._in_flight.done(r.claimed for r in batch)
        self._touched_runs.update(r.claimed.run_id for r in batch)
        self._note_control([r.claimed for r in batch if isinstance(r.outcome, Accepted) and r.outcome.attempt is None])

    def _note_control(self, accepted: Sequence[Claimed]) -> None:
        """Note an acceptance now and then, as a control for questions about doubts. A test send is none: whoever writes
        a campaign decides when it goes, and what it says."""
        asked = self._services.adapters
        accepted = [claimed for claimed in accepted if asked[claimed.provider].askable and not claimed.is_test]
        if not accepted or time.monotonic() < self._control_at:
            return
        services = self._services
        latest = max(accepted, key=lambda claimed: claimed.claimed_at)
        self._control_at = time.monotonic() + services.policy.slot.total_seconds()
        note_control(
            services.db, latest, services.adapters[latest.provider].log_name(latest.id, latest.account), services.policy
        )
