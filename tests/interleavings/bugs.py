"""Faults planted on purpose, each by a small patch: what the exploration must find. None of them is in the project."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

from msgspec import structs

from mailroom.domain.dispatches import absence
from mailroom.domain.dispatches.doubts import Doubt, Timing
from mailroom.domain.dispatches.fences import FenceAnswer, FenceState
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.ids import Lane, Token
from mailroom.services.common import calls_under_way, sending_switch
from mailroom.services.common.calls_under_way import Called
from mailroom.storage import lanes
from mailroom.storage.database import Document
from mailroom.storage.dispatches import doubts as stored_doubts
from mailroom.storage.dispatches.counts import InHand
from mailroom.storage.schedules import run_planning
from sender.lanes import Lanes
from tests.interleavings.etcd import MemoryLeases
from tests.interleavings.fences import MemoryFences
from tests.interleavings.provider import Connection


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
        return super().crossed(structs.replace(c, cleared=(known.claim,)) if known and earlier else c)


@contextmanager
def doubts_are_judged_at_once() -> Iterator[None]:
    """No waiting time, and no control."""
    judge = absence.judge_absent
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
    judge = absence.judge_absent
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

    real = run_planning.advance
    with patch.object(run_planning, "advance", advance):
        yield


class Reconnecting(Connection):
    """Connects again inside an attempt where it has died, as HTTP clients like to."""

    def usable(self) -> bool:
        if not super().usable() and self._director.acts("caller"):
            self.open()
        return super().usable()


class Revives(MemoryLeases):
    """The heartbeat goes on renewing a lease that was given up, until there is a new one."""

    def give_up(self) -> None:
        self._deadline = 0


@contextmanager
def a_duty_of_the_loop_raises() -> Iterator[None]:
    with patch("sender.loop.take_over", side_effect=ValueError("of a kind that nobody thought of")):
        yield


@contextmanager
def nobody_compares_keys_with_hands() -> Iterator[None]:
    with patch.object(Lanes, "reconcile", lambda _self: None):
        yield


class Forgetful(Lanes):
    """Compares keys and lanes only after an answer got lost, and no more once the lease was replaced."""

    _unsure = False

    def replace_lease(self) -> None:
        self._unsure = False
        super().replace_lease()

    def reconcile(self) -> None:
        if self._unsure:
            super().reconcile()
            self._unsure = False

    @contextmanager
    def _reconciled_on_error(self) -> Iterator[None]:
        self._unsure = True
        with super()._reconciled_on_error():
            yield
        self._unsure = False


@contextmanager
def keys_are_compared_after_an_error_alone() -> Iterator[None]:
    with patch("sender.parts.Lanes", Forgetful):
        yield


@contextmanager
def what_went_elsewhere_is_tried_again() -> Iterator[None]:
    """The conclusion of a doubt does not ask whether its mail went elsewhere."""
    read = stored_doubts._doubt

    def as_if_it_had_not(doc: Document) -> Doubt:
        return replace(read(doc), moved=False)

    with patch.object(stored_doubts, "_doubt", as_if_it_had_not):
        yield


class SameIdentity(MemoryFences):
    """A fail-over is not noticed."""

    def fail_over(self, *, loses_last_write: bool) -> None:
        super().fail_over(loses_last_write=loses_last_write)
        assert self.replaced
        self.master.identity = self.replaced.identity


class ReadsAsAnybody(MemoryFences):
    """A take-over reads the fences without recording its token in the memory that answers: it was recorded when the
    lane was taken."""

    def enter_to_read(self, lane: Lane, token: Token) -> None:
        pass


@contextmanager
def a_stop_believes_any_redis() -> Iterator[None]:
    """Whatever memory a claim was made under, its fence is looked for in the one that answers."""
    real = calls_under_way.called_among

    def called_among(fences: MemoryFences, in_hand: Collection[InHand], *, held_in: str | None) -> Called:
        identity = fences.identity
        told = [replace(dispatch, redis_identity=identity) for dispatch in in_hand]
        return real(fences, told, held_in=held_in and identity)  # type: ignore[arg-type]

    with patch.object(sending_switch, "called_among", called_among):
        yield
