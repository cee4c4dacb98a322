"""The thread between claim and call: it crosses the fences of ready jobs, only while there is room to call them.

Step 3 of the protocol. When a sender dies, a dispatch that was claimed and not fenced returns to pending at once; a
fenced one is in doubt. So many dispatches may be claimed and prepared ahead, but few are fenced ahead.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import copy_context
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import CallResult, Refusal, Refused
from mailroom.domain.emails.model import Rank
from mailroom.domain.errors import Unavailable
from mailroom.services.dispatching.fences import Crossing, cross_fences
from sender.caller import Caller, Ended, Job
from sender.counts import count_crossing
from sender.traced import trace_fences

log = structlog.get_logger()
# A quarter of the calls in flight is fenced ahead: enough for the calls that begin during a round trip to Redis.
_AHEAD: Final = 4
_SPLIT_BEFORE: Final = Refused(Refusal.RECIPIENT, "it was refused before")
_FORGOTTEN: Final = Refused(Refusal.NOT_CALLED, "Redis changed between claim and call")
_HELD: Final = Refused(Refusal.HELD, "it was stopped or paused before the call")


class Fencer:
    """Each job that is handed in becomes a call, or ends as a result without a call."""

    def __init__(
        self,
        fences: Fences,
        caller: Caller,
        *,
        most_calls: int,
        reserved: int,
        done: Callable[[Sequence[Ended]], None],
        dropped: Callable[[Sequence[Job]], None],
        forgotten: Callable[[], None],
        held: Callable[[Sequence[Claimed]], None],
    ) -> None:
        self._fences, self._caller = fences, caller
        self._done, self._dropped, self._forgotten, self._held = done, dropped, forgotten, held
        self._most, self._reserved = most_calls + max(1, most_calls // _AHEAD), reserved
        self._ready: dict[Rank, deque[Job]] = {rank: deque() for rank in Rank}
        self._fenced = {True: 0, False: 0}  # jobs fenced and not yet ended, by urgency
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="fencer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def has_work(self) -> bool:
        """True if there is a job for which there is room."""
        return self._startable() is not None

    @property
    def alive(self) -> bool:
        """False if the thread has died of a bug; this process must end."""
        return self._thread.is_alive()

    def hand_in(self, jobs: Iterable[Job]) -> None:
        """Fence and call these jobs as soon as there is room. Thread-safe."""
        with self._changed:
            for job in jobs:
                self._ready[job.claimed.rank].append(job)
            self._changed.notify()

    def ended(self, jobs: Iterable[Job]) -> None:
        """Note that these calls have ended: there is room for others. Thread-safe."""
        with self._changed:
            for job in jobs:
                self._fenced[job.urgent] -= 1
            self._changed.notify()

    def finish(self) -> None:
        """Cross no more fences, and end the jobs that were not fenced as not called."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()
        self._hand_back([job for ready in self._ready.values() for job in ready], "its sender was told to stop")

    def step(self) -> None:
        """Cross the fences of the jobs for which there is room. Each goes to the caller, or ends without a call."""
        jobs = self._next()
        by_claim = {job.claimed: job for job in jobs}
        began = time.monotonic()
        try:
            crossing = cross_fences(self._fences, list(by_claim))
        except Exception as error:
            if not isinstance(error, Unavailable):
                log.exception("fencer_failed", count=len(jobs))
            self.ended(jobs)
            self._hand_back(jobs, f"the fence could not be crossed: {error}")
            return
        trace_fences({job.claimed: job.trace for job in jobs}, crossing, seconds=time.monotonic() - began)
        self._distribute(crossing, by_claim)

    def _run(self) -> None:
        while self._wait():
            self.step()

    def _wait(self) -> bool:
        """Wait until there is a job to fence. False at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self.has_work)
            return not self._ending

    def _next(self) -> list[Job]:
        """Take the jobs for which there is room, and their room."""
        jobs = []
        with self._changed:
            while ready := self._startable():
                jobs.append(ready.popleft())
                self._fenced[jobs[-1].urgent] += 1
        return jobs

    def _startable(self) -> deque[Job] | None:
        """The most urgent jobs for which there is room; None without jobs or without room."""
        for rank, ready in self._ready.items():
            room = self._most - self._fenced[False]
            if rank is Rank.HIGH:
                room += self._reserved - self._fenced[True]
            if ready and room > 0:
                return ready
        return None

    def _distribute(self, crossing: Crossing, jobs: Mapping[Claimed, Job]) -> None:
        count_crossing(crossing)
        going = set(crossing.go)
        self._caller.hand_in([jobs[claimed] for claimed in crossing.go])
        self.ended(job for claimed, job in jobs.items() if claimed not in going)
        ended = list(crossing.called_before)
        ended += [CallResult(c, _SPLIT_BEFORE) for c in crossing.split_before]
        ended += [CallResult(c, _FORGOTTEN) for c in crossing.forgotten]
        ended += [CallResult(c, _HELD) for c in crossing.held]
        if crossing.held:
            self._held(crossing.held)
        if ended:
            self._done([(jobs[result.claimed], result) for result in ended])
        if crossing.stale:
            self._dropped([jobs[claimed] for claimed in crossing.stale])
        if crossing.forgotten:
            self._forgotten()

    def _hand_back(self, jobs: Sequence[Job], why: str) -> None:
        if jobs:
            self._done([(job, CallResult(job.claimed, Refused(Refusal.NOT_CALLED, why))) for job in jobs])
