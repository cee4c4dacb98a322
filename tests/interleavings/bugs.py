"""Faults planted on purpose, each by a small patch: what the exploration must find. None of them is in the project."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from mailroom.coordination.fences import FenceAnswer
from mailroom.domain import doubts
from mailroom.domain.dispatches.fences import FenceState
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.doubts import Timing
from mailroom.domain.outcomes import Outcome
from mailroom.storage import lanes
from mailroom.storage.schedules import runs
from tests.interleavings.etcd import MemoryLeases
from tests.interleavings.fences import MemoryFences
from tests.interleavings.provider import Connection
from tests.interleavings.sender import Job, Sender


class EveryCrossingGoes(MemoryFences):
    """The fence is not asked."""

    def crossed(self, c: Claimed) -> FenceAnswer:
        super().crossed(c)
        return FenceAnswer(go=True)


class AnyoneReleases(MemoryFences):
    """A release is not bound to the claim that crossed."""

    def released(self, c: Claimed, outcome: FenceState, note: str | None = None) -> FenceAnswer | None:
        known = self.records.get((c.claim.lane, c.id))
        if known is None or known.outcome is not FenceState.CROSSED:
            return super().released(c, outcome, note)
        self.records[c.claim.lane, c.id] = replace(known, outcome=outcome, provider_id=note or known.provider_id)
        return None


class NoHoldHeeded(MemoryFences):
    """The switch is looked at by claims alone."""

    def heeded(self, id_: str) -> bool:
        return False


class NoTokenAsked(MemoryFences):
    """Redis lets lower tokens pass, as lanes.under does; and higher attempts, or it would find the others by itself."""

    def entered(self, lane: object, token: int) -> bool:
        return True

    def crossed(self, c: Claimed) -> FenceAnswer:
        known = self.records.get((c.claim.lane, c.id))
        earlier = known is not None and known.attempt < c.attempt
        return super().crossed(replace(c, cleared=(known.claim,)) if known and earlier else c)


@contextmanager
def doubts_are_judged_at_once() -> Iterator[None]:
    """No waiting time, and no control."""
    judge = doubts.judge_absent
    no_wait = patch.object(Timing, "over_from", lambda _self, marked_at: marked_at)
    at_once = patch.object(Timing, "decisive_from", lambda _self, marked_at: marked_at)
    no_control = patch(
        "mailroom.services.reconciliation.reconcile.judge_absent",
        lambda *args, **rest: judge(*args, **rest | {"control_seen": True}),
    )
    with no_wait, at_once, no_control:
        yield


@contextmanager
def no_control_is_asked_for() -> Iterator[None]:
    judge = doubts.judge_absent
    with patch(
        "mailroom.services.reconciliation.reconcile.judge_absent",
        lambda *args, **rest: judge(*args, **rest | {"control_seen": True}),
    ):
        yield


@contextmanager
def tokens_are_not_checked() -> Iterator[None]:
    with patch.object(lanes, "_touch", lambda _db, _tokens, _session: None):
        yield


@contextmanager
def chunks_are_written_whatever_the_run_is() -> Iterator[None]:
    """The insert of a chunk is not bound to the state of its run."""

    def advance(db: object, steps: object, **rest: object) -> bool:
        real(db, steps, **rest)  # type: ignore[arg-type]
        return True

    real = runs.advance
    with patch.object(runs, "advance", advance):
        yield


class Reconnecting(Sender):
    """Opens another connection inside an attempt, as HTTP clients like to."""

    def _without_connection(self, job: Job) -> Outcome:
        now = self._director.now
        return self._provider.call(Connection(self._machine, now, self._machine.clock(now)), job.mail)


class Revives(MemoryLeases):
    """The heartbeat goes on renewing a lease that was given up, until there is a new one."""

    def give_up(self) -> None:
        self._deadline = 0


class Trusting(Sender):
    """Nobody compares what the lease holds with what is in hand."""

    def _reconcile(self) -> None:
        pass


class Forgetful(Sender):
    """Compares them only after an answer got lost, and no more once it has begun anew."""

    _unsure = False

    def _begin_anew(self) -> None:
        self._unsure = False
        super()._begin_anew()

    def _reconcile(self) -> None:
        if self._unsure:
            super()._reconcile()
            self._unsure = False

    @contextmanager
    def _unless_sure(self) -> Iterator[None]:
        self._unsure = True
        with super()._unless_sure():
            yield
        self._unsure = False
