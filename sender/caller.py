"""The thread that makes calls, hundreds at a time. Step 4 of the protocol: a last look at the lease's deadline and at
the connection, then the request, once.

One thread that polls, because a call is mostly waiting: it costs a few system calls and no switch between threads.
"""

import contextlib
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any, Final

import structlog

from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.emails.model import Rank
from mailroom.domain.outcomes import InDoubt, Outcome, Refusal, Refused
from mailroom.providers.base import Adapter, Connection, advance, begin
from mailroom.services.dispatching.outcomes import Result

log = structlog.get_logger()
_LONGEST_POLL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """A dispatch whose fence is crossed, its request, and the connection that was open before."""

    claimed: Claimed
    adapter: Adapter
    request: Any
    connection: Connection

    @property
    def urgent(self) -> bool:
        """True for what somebody waits for, such as a password reset: nothing may stand in its way."""
        return self.claimed.rank is Rank.HIGH


Ended = tuple[Job, Result]


class Caller:
    """At most `in_flight` calls at a time, and as many as `reserved` beside them that are for nothing but what is
    urgent; each job has a connection of its own and waits only for its turn."""

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
        self._ordinary = 0  # of those under way
        self._poll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake, select.EPOLLIN)
        self._ending = False
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="caller", daemon=True)
        self._thread.start()

    def start(self, jobs: Iterable[Job]) -> None:
        """Begin these calls as soon as there is room. Any thread may say so."""
        for job in jobs:
            (self._urgent if job.urgent else self._waiting).append(job)
        os.eventfd_write(self._wake, 1)

    @property
    def alive(self) -> bool:
        """False if the thread has died of a bug: its calls are told by their fences, and this process must end."""
        return self._thread.is_alive()

    def finish(self) -> None:
        """Wait until every call in hand has ended; each is bounded by the call's time-out."""
        self._ending = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()

    def _run(self) -> None:
        while not (self._ending and not self._urgent and not self._waiting and not self._under_way):
            ended = self._begin_waiting()
            for descriptor, _ in self._poll.poll(0 if ended else self._wait_s()):
                if descriptor == self._wake:
                    os.eventfd_read(self._wake)
                else:
                    ended += self._advance(descriptor)
            ended += self._give_up_overdue()
            if ended:
                self._done(ended)

    def _begin_waiting(self) -> list[Ended]:
        """Begin as many calls as there is room for. Returns those that ended with that, mostly none."""
        ended: list[Ended] = []
        while job := self._next():
            refused = self._refusal(job) or begin(job.connection, job.request)
            if refused:
                ended.append((job, Result(job.claimed, refused)))
                continue
            descriptor = job.connection.fileno()
            self._under_way[descriptor] = job
            self._ordinary += not job.urgent
            self._poll.register(descriptor, select.EPOLLIN)
            ended += self._advance(descriptor)
        return ended

    def _next(self) -> Job | None:
        if self._urgent and len(self._under_way) < self._most + self._reserved:
            return self._urgent.popleft()
        if self._waiting and self._ordinary < self._most and len(self._under_way) < self._most + self._reserved:
            return self._waiting.popleft()
        return None

    def _refusal(self, job: Job) -> Refused | None:
        # Looked at per call, not per bulk: the process may have stood still since the fence was crossed.
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
        if job.connection.writing:
            self._poll.modify(descriptor, select.EPOLLIN | select.EPOLLOUT)
        elif was_writing:
            self._poll.modify(descriptor, select.EPOLLIN)
        return []

    def _outcome(self, job: Job) -> Outcome | None:
        try:
            return advance(job.adapter, job.connection)
        except Exception as error:
            # A bug of ours, after which nobody can say whether the request left: hold it, and say it loudly.
            log.exception("call_failed", dispatch_id=job.claimed.id)
            job.connection.close()
            return InDoubt(f"{type(error).__name__} during the call")

    def _end(self, descriptor: int, outcome: Outcome) -> Ended:
        job = self._under_way.pop(descriptor)
        self._ordinary -= not job.urgent
        with contextlib.suppress(OSError):  # where it is closed, closing has done it
            self._poll.unregister(descriptor)
        return job, Result(job.claimed, outcome)

    def _give_up_overdue(self) -> list[Ended]:
        """All calls have the same time, so the first to begin is the first to be overdue."""
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
            return _LONGEST_POLL_S
        first = next(iter(self._under_way.values()))
        return min(max(first.connection.deadline - time.monotonic(), 0.0), _LONGEST_POLL_S)
