"""The threads that make calls. Step 4 of the protocol: a last look at the lease's deadline, then the request, once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from mailroom.domain.dispatches import Claimed
from mailroom.domain.outcomes import InDoubt, Outcome, Refusal, Refused
from mailroom.providers.base import Adapter, Request, call
from mailroom.providers.connection import LiveConnection
from mailroom.services.recording import Result

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Job:
    """A dispatch whose fence is crossed, its request, and the connection that was open before."""

    claimed: Claimed
    request: Request
    connection: LiveConnection


class Callers:
    """As many threads as connections: a job never waits for another one's call."""

    def __init__(
        self,
        adapter: Adapter,
        *,
        threads: int,
        may_call: Callable[[], bool],
        done: Callable[[Job, Result], None],
    ) -> None:
        self._adapter, self._may_call, self._done = adapter, may_call, done
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="call")

    def start(self, job: Job) -> None:
        self._pool.submit(self._run, job)

    def finish(self) -> None:
        """Wait until every call in hand has ended; each is bounded by the call's time-out."""
        self._pool.shutdown(wait=True)

    def _run(self, job: Job) -> None:
        try:
            outcome = self._call(job)
        except Exception as error:
            # A bug of ours, after which nobody can say whether the request left: hold it, and say it loudly.
            log.exception("call_failed", dispatch_id=job.claimed.id)
            job.connection.close()
            outcome = InDoubt(f"{type(error).__name__} during the call")
        self._done(job, Result(job.claimed, outcome))

    def _call(self, job: Job) -> Outcome:
        # Looked at per call, not per bulk: the process may have stood still since the fence was crossed.
        if not self._may_call():
            return Refused(Refusal.NOT_CALLED, "the lease's time was over before the call")
        if not job.connection.usable():
            return Refused(Refusal.NOT_CALLED, "the connection had died before the call")
        return call(self._adapter, job.connection, job.request)
