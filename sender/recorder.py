"""The thread that writes down what came of calls, many at a time, for as long as it takes."""

import queue
import random
import threading
import time
from collections.abc import Iterable, Sequence
from contextvars import copy_context
from typing import Final

import structlog

from mailroom.assembly import SenderServices
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import RunId
from mailroom.domain.outcomes import Accepted, Refused
from mailroom.services.common.clock import Clocks, server_now
from mailroom.services.dispatching.outcomes import Result, record
from mailroom.services.dispatching.propagation import finish_runs
from mailroom.services.reconciliation.reconcile import note_control
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
    """Results are handed in from any thread; none is dropped while this process lives."""

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
        self._results: queue.SimpleQueue[Result | None] = queue.SimpleQueue()
        # In a copy of our context, so that its log lines carry the sender's id.
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="recorder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hand_in(self, results: Iterable[Result]) -> None:
        for result in results:
            self._results.put(result)

    def finish(self, *, within_s: float) -> bool:
        """Write down all that was handed in. False if the stores were away for longer than the time given: then the
        fences, or their absence, tell the next holder."""
        self._results.put(None)
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        ending, wait_s = False, _WAIT_S
        left: list[Result] = []
        while left or not ending:
            new, ended = self._next(wait_s if left else None)
            self._provider_health.tell(new)
            ending = ending or ended
            left = self._record(left + new)
            wait_s = min(2 * wait_s, _MOST_WAIT_S) if left else _WAIT_S
            if left and ending:
                time.sleep(_WAIT_S)
            if self._touched_runs and (ending or time.monotonic() >= self._finish_at):
                self._finish_runs()

    def _next(self, wait_s: float | None) -> tuple[list[Result], bool]:
        """What was handed in; nothing, after a while, if something is left to be written or a run may be through."""
        try:
            if wait_s is None:
                wait_s = _FINISH_S if self._touched_runs else None
            jitter = random.uniform(0.5, 1.5)  # noqa: S311
            results = [self._results.get(timeout=wait_s * jitter if wait_s else None)]
        except queue.Empty:
            return [], False
        # Nobody waits for this but a few claims: writing many at once costs the stores far less.
        deadline = time.monotonic() + _LINGER_S
        while len(results) < _AT_ONCE and None not in results[-1:]:
            try:
                results.append(self._results.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                break
        return [result for result in results if result is not None], None in results

    def _finish_runs(self) -> None:
        """Now and then, not with every batch. What is left undone here the janitor does."""
        runs, self._touched_runs = self._touched_runs, set()
        self._finish_at = time.monotonic() + _FINISH_S
        try:
            finish_runs(self._services.db, list(runs), now=server_now(self._services.db))
        except Exception as error:
            log.warning("runs_not_finished", count=len(runs), error=str(error))

    def _record(self, batch: list[Result]) -> list[Result]:
        """Write results down. Returns what is still to be written. Facts go by themselves: a refusal that cannot be
        written while Redis is away holds up no acceptance."""
        facts = [result for result in batch if not isinstance(result.outcome, Refused)]
        refusals = [result for result in batch if isinstance(result.outcome, Refused)]
        return [left for group in (facts, refusals) if group for left in self._record_group(group)]

    def _record_group(self, group: list[Result]) -> list[Result]:
        """All of it is left while a server is away; what cannot be written goes alone, and holds up nothing."""
        try:
            self._write(group)
        except Unavailable as error:
            log.warning("outcomes_wait", count=len(group), error=str(error))
            return group
        except Exception:
            if len(group) > 1:
                return [left for one in group for left in self._record_group([one])]
            # Its fence tells the next holder of the lane; the claim is no longer in hand, so that it can be judged.
            log.exception("outcome_not_written", dispatch_id=group[0].claimed.id)
            self._in_flight.done([group[0].claimed])
        return []

    def _write(self, batch: list[Result]) -> None:
        services = self._services
        # A doubt's time must not be early by anything; for the rest a reading of a moment ago will do.
        certain = all(isinstance(r.outcome, Accepted) for r in batch)
        now = self._clocks.read().now if certain else server_now(services.db)
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
        """Now and then an acceptance is remembered as a control for questions about doubts."""
        accepted = [one for one in accepted if self._services.adapters[one.provider].askable]
        if not accepted or time.monotonic() < self._control_at:
            return
        services = self._services
        latest = max(accepted, key=lambda claimed: claimed.claimed_at)
        self._control_at = time.monotonic() + services.policy.slot.total_seconds()
        note_control(
            services.db, latest, services.adapters[latest.provider].log_name(latest.id, latest.account), services.policy
        )
