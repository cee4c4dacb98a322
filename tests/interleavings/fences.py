"""The fences of a Redis of this process: the same scripts as in mailroom/coordination/lua, line for line in Python.

`tests/integration/coordination/test_fence_machine.py` compares them with the real ones in a real Redis.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from mailroom.coordination.fences import FenceAnswer
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.holds import EVERYTHING, Hold
from mailroom.domain.ids import ClaimId, DispatchId, Lane, Token
from mailroom.domain.outcomes import CalledAt
from tests.interleavings.director import Violation
from tests.interleavings.mongo import Step, at_once

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """What Redis keeps of one dispatch."""

    outcome: FenceState
    claim: ClaimId
    attempt: int
    digest: str
    provider_id: str = ""
    at: datetime | None = None  # the time of the claim that crossed last
    where: CalledAt | None = None  # to be called by it
    span: str = ""


class MemoryFences:
    """Stands in for mailroom.coordination.fences.Fences. Each method is one step."""

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self._lives = 0
        self.stopped = False  # it was answered that all sending is stopped
        self.forget()

    def forget(self) -> None:
        """Redis restarts without its memory: another identity, no token, no fence."""
        self._lives += 1
        self.identity = f"redis-{self._lives}"
        self.tokens: dict[Lane, int] = {}
        self.records: dict[tuple[Lane, DispatchId], Record] = {}
        self.holds: dict[str, Hold] = {}

    def redis_identity(self) -> str:
        return self._use("memory", lambda: self.identity, writes=False)

    def seen_token(self, lane: Lane) -> int:
        return self.tokens.get(lane, 0)

    def enter(self, tokens: Mapping[Lane, Token]) -> tuple[set[Lane], str]:
        def use() -> tuple[set[Lane], str]:
            return {lane for lane, token in tokens.items() if self.entered(lane, token)}, self.identity

        return self._use("enter", use)

    def cross(self, claims: Mapping[ClaimId, Sequence[Claimed]]) -> tuple[dict[Claimed, FenceAnswer], str]:
        def use() -> tuple[dict[Claimed, FenceAnswer], str]:
            crossed = {c: self.crossed(c) for group in claims.values() for c in group}
            for c, verdict in crossed.items():
                if self.stopped and verdict.go and c.claim.redis_identity == self.identity:
                    raise Violation(f"{c.id} crosses its fence after it was answered that all sending is stopped")
            return crossed, self.identity

        return self._use("cross", use)

    def close(self, accepted: Sequence[tuple[Claimed, Acceptance]]) -> list[DispatchId]:
        return self._use("close", lambda: [c.id for c, yes in accepted if not self.closed(c, yes)])

    def release(self, refused: Sequence[Claimed]) -> list[FenceAnswer | None]:
        def use() -> list[FenceAnswer | None]:
            return [self.released(c, FenceState.RELEASED) for c in refused]

        return self._use("release", use) if refused else []

    def split(self, refused: Sequence[tuple[Claimed, int]]) -> list[int | FenceAnswer]:
        def use() -> list[int | FenceAnswer]:
            return [self.split_up(c, most) for c, most in refused]

        return self._use("split", use) if refused else []

    def read(self, dispatches: Sequence[tuple[Lane, DispatchId]]) -> tuple[dict[DispatchId, Fence], str]:
        def use() -> tuple[dict[DispatchId, Fence], str]:
            return {id_: _shown(self.records.get((lane, id_))) for lane, id_ in dispatches}, self.identity

        return self._use("read", use, writes=False)

    def entered(self, lane: Lane, token: int) -> bool:
        """enter.lua"""
        if self.tokens.get(lane, 0) > token:
            return False
        self.tokens[lane] = token
        return True

    def crossed(self, c: Claimed) -> FenceAnswer:
        """cross.lua, for one dispatch"""
        if not self.entered(c.claim.lane, c.claim.token):
            return FenceAnswer(stale=True)
        key = c.claim.lane, c.id
        known = self.records.get(key)
        if known is not None and known.outcome is FenceState.SPLIT and known.digest == c.digest:
            return FenceAnswer(split=True)
        if known is not None and known.outcome is FenceState.RELEASED and known.claim == c.claim.id:
            return FenceAnswer(stale=True)
        if known is not None and (stands := _stands(known, c)):
            return stands
        if self.heeded(EVERYTHING) or self.heeded(c.run_id):
            return FenceAnswer(held=True)
        where, note = CalledAt(c.provider, c.account), known.provider_id if known else ""
        self.records[key] = Record(
            FenceState.CROSSED, c.claim.id, c.attempt, c.digest, note, c.claimed_at, where, c.span
        )
        return FenceAnswer(go=True)

    def heeded(self, id_: str) -> bool:
        return id_ in self.holds and self.holds[id_].held

    def closed(self, c: Claimed, yes: Acceptance) -> bool:
        """close.lua, for one dispatch"""
        known = self.records.get((c.claim.lane, c.id))
        if known is not None and known.outcome is FenceState.DONE:
            return (known.provider_id, known.attempt) == (yes.provider_id, yes.attempt)
        if known is not None and known.outcome is FenceState.SPLIT:
            return False
        at, where, span = (known.at, known.where, known.span) if known else (None, None, "")
        self.records[c.claim.lane, c.id] = Record(
            FenceState.DONE, c.claim.id, yes.attempt, c.digest, yes.provider_id, at, where, span
        )
        return True

    def split_up(self, c: Claimed, most: int) -> int | FenceAnswer:
        """release.lua, for one dispatch that is to be split"""
        known = self.records.get((c.claim.lane, c.id))
        if known is not None and known.outcome is FenceState.SPLIT and known.digest == c.digest:
            return int(known.provider_id)
        return self.released(c, FenceState.SPLIT, str(most)) or most

    def released(self, c: Claimed, outcome: FenceState, note: str | None = None) -> FenceAnswer | None:
        """release.lua, for one dispatch. None where it was written."""
        known = self.records.get((c.claim.lane, c.id))
        if known is not None and known.outcome is FenceState.SPLIT and known.digest == c.digest:
            return FenceAnswer(split=True)
        if known is not None and (stands := _stands(known, c)):
            return stands
        at, where, span = (known.at, known.where, known.span) if known else (None, None, "")
        note = note if note is not None else known.provider_id if known else ""
        self.records[c.claim.lane, c.id] = Record(outcome, c.claim.id, c.attempt, c.digest, note, at, where, span)
        return None

    def _use(self, words: str, use: Callable[[], T], *, writes: bool = True) -> T:
        return self._step("redis", words, use, writes=writes)


class MemoryHolds:
    """Stands in for mailroom.coordination.holds.Holds, in the same Redis as the fences."""

    def __init__(self, fences: MemoryFences) -> None:
        self._fences = fences

    def read(self, id_: str) -> Hold:
        return self._fences._use("read hold", lambda: self._fences.holds.get(id_, Hold(id_)), writes=False)

    def mirror(self, hold: Hold) -> None:
        """hold_raise.lua"""

        def use() -> None:
            stands = self._fences.holds.get(hold.id, Hold(hold.id))
            if stands.number < hold.number:
                self._fences.holds[hold.id] = hold

        self._fences._use("mirror hold", use)


def _stands(known: Record, c: Claimed) -> FenceAnswer | None:
    """What keeps this claim from crossing, or from being released, if anything does."""
    final = known.outcome in (FenceState.DONE, FenceState.SPLIT)
    doubt = FenceAnswer(crossed_at=known.at, crossed_by=known.claim, called_at=known.where, final=final)
    if final:
        if known.outcome is FenceState.SPLIT or known.digest != c.digest:
            return doubt
        return FenceAnswer(accepted=(known.attempt, known.provider_id), called_at=known.where)
    if known.outcome is FenceState.CROSSED and known.claim not in (c.claim.id, *c.cleared):
        return doubt
    return None


def _shown(record: Record | None) -> Fence:
    if record is None:
        return Fence(FenceState.NONE)
    return Fence(
        *(record.outcome, record.attempt, record.claim, record.digest, record.provider_id),
        *(record.at, record.where, record.span),
    )
