"""The thread that makes calls, hundreds at a time: step 4 of the protocol. Each call checks the lease's deadline and
the connection a last time, then sends the request once.

One thread polls all calls, because a call mostly waits: it costs a few system calls and no switch between threads.
"""

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from datetime import datetime
from typing import Final

import structlog
from msgspec import Struct

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.outcomes import CallResult, InDoubt, Outcome, Refusal, Refused
from mailroom.domain.emails.model import Rank
from mailroom.providers.base import Adapter, Connection, advance, begin
from sender.counts import count_call
from sender.traced import trace_call

log = structlog.get_logger()
_LONGEST_POLL_S: Final = 0.5
_IDLE_POLL_S: Final = 5.0  # without a call; a call that is handed in ends it


class Job(Struct, eq=False):  # compared by identity: it changes
    """A dispatch whose fence is crossed, its request, and the connection that was open before its claim. `request`:
    None once the caller has taken the job up: the connection holds the bytes, and a large mail must not be in memory
    twice. `due_at`: when its mails should have gone out; None if that is not known. `trace`: the request that handed it
    in; '' if it is not traced. Only metrics and traces ask for these two."""

    claimed: Claimed
    adapter: Adapter
    request: object
    connection: Connection
    due_at: datetime | None = None
    trace: str = ""

    @property
    def urgent(self) -> bool:
        """True for a mail that somebody waits for, such as a password reset: no other job goes before it."""
        return self.claimed.rank is Rank.HIGH


Ended = tuple[Job, CallResult]


class Caller:
    """At most `most_calls` calls at a time, and `reserved` more for urgent jobs only. Each job has a connection of its
    own and waits only for its turn. `done` gets the ended calls, in the caller's thread."""

    def __init__(
        self,
        *,
        most_calls: int,
        reserved: int,
        may_call: Callable[[], bool],
        done: Callable[[Sequence[Ended]], None],
    ) -> None:
        self._may_call, self._done = may_call, done
        self._most, self._reserved = most_calls, reserved
        self._urgent: deque[Job] = deque()
        self._waiting: deque[Job] = deque()
        self._under_way: dict[int, Job] = {}  # by descriptor, in the order in which they began
        self._began: dict[int, float] = {}  # when each of them began, on the monotonic clock
        self._ordinary = 0  # of those under way
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._ending = False
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="caller", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hand_in(self, jobs: Iterable[Job]) -> None:
        """Begin these calls as soon as there is room. Thread-safe."""
        for job in jobs:
            (self._urgent if job.urgent else self._waiting).append(job)
        os.eventfd_write(self._wake, 1)

    @property
    def has_work(self) -> bool:
        """True while a call waits for its turn or is under way."""
        return bool(self._urgent or self._waiting or self._under_way)

    @property
    def alive(self) -> bool:
        """False if the thread has died of a bug. This process must end; the fences show its calls to the next
        holder."""
        return self._thread.is_alive()

    def finish(self) -> None:
        """Wait until every call in flight has ended; each is bounded by the call's time-out."""
        self._ending = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()

    def close(self) -> None:
        """Close the descriptors. Only after the last call has ended."""
        self._poll.close()
        os.close(self._wake)

    def step(self) -> None:
        """Begin the calls for which there is room, and advance those under way. Waits for I/O for at most half a
        second, without a call for some seconds, and not at all if a call has ended at its beginning."""
        ended = self._begin_waiting()
        for descriptor, _ in self._poll.poll(0 if ended else self._wait_s()):
            if descriptor == self._wake:
                os.eventfd_read(self._wake)
            else:
                ended += self._advance(descriptor)
        ended += self._give_up_overdue()
        if ended:
            self._done(ended)

    def _run(self) -> None:
        # The end is looked at first: every hand-in comes before it.
        while not self._ending or self.has_work:
            self.step()

    def _begin_waiting(self) -> list[Ended]:
        """Begin as many calls as there is room for. Returns the calls that ended at once, usually none."""
        ended: list[Ended] = []
        while job := self._next():
            refused = self._refusal(job) or begin(job.connection, job.request)
            job.request = None
            if refused:
                ended.append((job, CallResult(job.claimed, refused)))
                continue
            descriptor = job.connection.fileno()
            self._under_way[descriptor], self._began[descriptor] = job, time.monotonic()
            self._ordinary += not job.urgent
            outcome = self._outcome(job)
            if outcome is not None:
                ended.append(self._end(descriptor, outcome))
            else:
                self._poll.register(descriptor, _events_of(job.connection))
        return ended

    def _next(self) -> Job | None:
        if self._urgent and len(self._under_way) < self._most + self._reserved:
            return self._urgent.popleft()
        if self._waiting and self._ordinary < self._most and len(self._under_way) < self._most + self._reserved:
            return self._waiting.popleft()
        return None

    def _refusal(self, job: Job) -> Refused | None:
        # Checked per call, not per batch: the process may have been frozen since the fence was crossed.
        if not self._may_call():
            return Refused(Refusal.NOT_CALLED, "the lease's time was over before the call")
        if not job.connection.usable():
            return Refused(Refusal.NOT_CALLED, "the connection had died before the call")
        return None

    def _advance(self, descriptor: int) -> list[Ended]:
        job = self._under_way[descriptor]
        was_writing = job.connection.writing
        outcome = self._outcome(job)
        if outcome is not None:
            return [self._end(descriptor, outcome)]
        if was_writing or job.connection.writing:
            self._poll.modify(descriptor, _events_of(job.connection))
        return []

    def _outcome(self, job: Job) -> Outcome | None:
        try:
            return advance(job.adapter, job.connection)
        except Exception as error:
            # A bug of ours. Nobody can know whether the request left, so the dispatch is in doubt.
            log.exception("call_failed", dispatch_id=job.claimed.id)
            job.connection.close()
            return InDoubt(f"{type(error).__name__} during the call")

    def _end(self, descriptor: int, outcome: Outcome) -> Ended:
        job, took_s = self._under_way.pop(descriptor), time.monotonic() - self._began.pop(descriptor)
        count_call(job.claimed, outcome, seconds=took_s)
        trace_call(job.trace, job.claimed, outcome, seconds=took_s)
        self._ordinary -= not job.urgent
        with contextlib.suppress(OSError):  # closing a descriptor unregisters it
            self._poll.unregister(descriptor)
        return job, CallResult(job.claimed, outcome, took_s)

    def _give_up_overdue(self) -> list[Ended]:
        """End the calls past their time-out. It is the same for all, so the first to begin is the first overdue."""
        ended: list[Ended] = []
        while self._under_way:
            descriptor, job = next(iter(self._under_way.items()))
            if time.monotonic() < job.connection.deadline:
                break
            outcome = self._outcome(job) or InDoubt("the call's time is over")
            ended.append(self._end(descriptor, outcome))
        return ended

    def _wait_s(self) -> float:
        if not self._under_way:
            return _IDLE_POLL_S
        first = next(iter(self._under_way.values()))
        return min(max(first.connection.deadline - time.monotonic(), 0.0), _LONGEST_POLL_S)


def _events_of(connection: Connection) -> int:
    """What to poll for a call under way: its answer, and room for the rest of its request."""
    return select.EPOLLIN | select.EPOLLOUT if connection.writing else select.EPOLLIN
