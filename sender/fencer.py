"""The thread between claim and call: it crosses fences for what is ready, no sooner than there is room to call it.

A dispatch that was claimed and not fenced goes back at once when its sender dies; one that was fenced is in doubt. So
much may be claimed and made ready ahead, but little is fenced ahead. Step 3 of the protocol.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import copy_context
from typing import Final

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.emails.model import Rank
from mailroom.domain.errors import Unavailable
from mailroom.domain.outcomes import Refusal, Refused
from mailroom.services.dispatching.fences import Crossing, cross_fences
from mailroom.services.dispatching.outcomes import Result
from sender.caller import Caller, Ended, Job

log = structlog.get_logger()
# Fenced ahead of the calls, as a part of those in flight: what is called while a question to Redis is on its way.
_AHEAD: Final = 4


class Fencer:
    """Jobs are handed in ready; each ends as a call, or as a result without one."""

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
        self._beyond = {True: 0, False: 0}  # fenced and not yet ended: the urgent ones, and the others
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="fencer", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """False if the thread has died of a bug; this process must end."""
        return self._thread.is_alive()

    def hand_in(self, jobs: Iterable[Job]) -> None:
        """Fence and call these as soon as there is room. Any thread may say so."""
        with self._changed:
            for job in jobs:
                self._ready[job.claimed.rank].append(job)
            self._changed.notify()

    def ended(self, jobs: Iterable[Job]) -> None:
        """These calls have ended: there is room for others."""
        with self._changed:
            for job in jobs:
                self._beyond[job.urgent] -= 1
            self._changed.notify()

    def finish(self) -> None:
        """Fence nothing more, and hand back what was not."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()
        self._hand_back([job for ready in self._ready.values() for job in ready], "its sender was told to stop")

    def _run(self) -> None:
        while jobs := self._next():
            by_claim = {job.claimed: job for job in jobs}
            try:
                crossing = cross_fences(self._fences, list(by_claim))
            except Exception as error:
                if not isinstance(error, Unavailable):
                    log.exception("gate_failed", count=len(jobs))
                self.ended(jobs)
                self._hand_back(jobs, f"the fence could not be crossed: {error}")
                continue
            self._sort(crossing, by_claim)

    def _next(self) -> list[Job]:
        """What there is room for, waited for; nothing at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self._startable())
            if self._ending:
                return []
            jobs = []
            while ready := self._startable():
                jobs.append(ready.popleft())
                self._beyond[jobs[-1].urgent] += 1
        return jobs

    def _startable(self) -> deque[Job] | None:
        """The most urgent jobs for which there is room; None where there are none, or no room."""
        for rank, ready in self._ready.items():
            room = self._most - self._beyond[False]
            if rank is Rank.HIGH:
                room += self._reserved - self._beyond[True]
            if ready and room > 0:
                return ready
        return None

    def _sort(self, crossing: Crossing, jobs: Mapping[Claimed, Job]) -> None:
        going = set(crossing.go)
        self._caller.start([jobs[claimed] for claimed in crossing.go])
        self.ended(job for claimed, job in jobs.items() if claimed not in going)
        ended = [Result(c, before) for c, before in crossing.accepted_before]
        ended += [Result(c, before) for c, before in crossing.in_doubt]
        ended += [Result(c, Refused(Refusal.RECIPIENT, "it was refused before")) for c in crossing.split_before]
        ended += [
            Result(c, Refused(Refusal.NOT_CALLED, "Redis changed between claim and call")) for c in crossing.forgotten
        ]
        ended += [Result(c, Refused(Refusal.HELD, "it was stopped or paused before the call")) for c in crossing.held]
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
            self._done([(job, Result(job.claimed, Refused(Refusal.NOT_CALLED, why))) for job in jobs])
