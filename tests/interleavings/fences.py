"""The fences of a Redis of this process: the same scripts as in mailroom/coordination/lua, line for line in Python.

`tests/integration/coordination/test_fence_machine.py` compares them with the real ones in a real Redis.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from mailroom.coordination.mirror import Mark
from mailroom.domain.dispatches.fences import Fence, FenceAnswer, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.outcomes import CalledAt
from mailroom.domain.errors import StaleToken
from mailroom.domain.holds import EVERYTHING, Hold
from mailroom.domain.ids import ClaimId, DispatchId, Lane, Token
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


@dataclass
class Memory:
    """All that one Redis keeps."""

    identity: str
    tokens: dict[Lane, int] = field(default_factory=dict)
    records: dict[tuple[Lane, DispatchId], Record] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    mark: Mark | None = None

    def copy(self, identity: str) -> "Memory":
        return Memory(identity, dict(self.tokens), dict(self.records), dict(self.holds), self.mark)


class MemoryFences:
    """Stands in for mailroom.coordination.fences.Fences. Each method is one step.

    After `fail_over` there are two memories for a time: that of the new master, and that of the old one, which does not
    know that it was replaced. `led_to` says which one answers whom.
    """

    def __init__(self, step: Step = at_once) -> None:
        self._step = step
        self._lives = 0
        self.stopped = False  # it was answered that all sending is stopped
        self.forget()

    def forget(self) -> None:
        """Redis restarts without its memory: another identity, no token, no fence."""
        self.master = self._before_last_write = Memory(self._new_identity())
        self.replaced: Memory | None = None  # a master that answers still
        self._answers = self.master

    def fail_over(self, *, loses_last_write: bool) -> None:
        """A replica becomes master; the old master goes on answering."""
        self.replaced = self.master
        known = self._before_last_write if loses_last_write else self.master
        self.master = known.copy(self._new_identity())
        self._before_last_write = self.master
        self._answers = self.master

    def demote(self) -> None:
        """The old master learns that it was replaced: what it was told since is lost."""
        self.replaced = None
        self._answers = self.master

    def led_to(self, replaced: bool, use: Callable[[], T]) -> T:
        """Let this use take place at the replaced master, if there is one, or at the master."""
        self._answers = (self.replaced or self.master) if replaced else self.master
        try:
            return use()
        finally:
            self._answers = self.master

    @property
    def memories(self) -> list[Memory]:
        return [self.master, self.replaced] if self.replaced else [self.master]

    @property
    def identity(self) -> str:
        return self._answers.identity

    @property
    def tokens(self) -> dict[Lane, int]:
        return self._answers.tokens

    @property
    def records(self) -> dict[tuple[Lane, DispatchId], Record]:
        return self._answers.records

    @property
    def holds(self) -> dict[str, Hold]:
        return self._answers.holds

    @property
    def mark(self) -> Mark | None:
        return self._answers.mark

    @mark.setter
    def mark(self, mark: Mark) -> None:
        self._answers.mark = mark

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

    def read_held(
        self, held: Mapping[Lane, Token], dispatches: Sequence[tuple[Lane, DispatchId]]
    ) -> tuple[dict[DispatchId, Fence], str]:
        def use() -> tuple[dict[DispatchId, Fence], str]:
            for lane in dict.fromkeys(lane for lane, _ in dispatches):
                self.enter_to_read(lane, held[lane])
            return {id_: _shown(self.records.get((lane, id_))) for lane, id_ in dispatches}, self.identity

        return self._use("judge", use)

    def enter_to_read(self, lane: Lane, token: Token) -> None:
        if not self.entered(lane, token):
            raise StaleToken(lane, token)

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
            ids = {known.provider_id, yes.provider_id} - {""}
            return known.attempt == yes.attempt and len(ids) <= 1
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
        return self._step("redis", words, (lambda: self._write(use)) if writes else use, writes=writes)

    def _write(self, use: Callable[[], T]) -> T:
        """The replica gets it a moment later."""
        if self._answers is self.master:
            self._before_last_write = self.master.copy("the replica's")
        return use()

    def _new_identity(self) -> str:
        self._lives += 1
        return f"redis-{self._lives}"


class MemoryHolds:
    """Stands in for mailroom.coordination.holds.Holds, in the same Redis as the fences."""

    def __init__(self, fences: MemoryFences) -> None:
        self._fences = fences

    def read(self, id_: str) -> tuple[Hold, str]:
        def use() -> tuple[Hold, str]:
            return self._fences.holds.get(id_, Hold(id_)), self._fences.identity

        return self._fences._use("read hold", use, writes=False)

    def mirror(self, hold: Hold) -> str:
        """hold_raise.lua"""

        def use() -> str:
            stands = self._fences.holds.get(hold.id, Hold(hold.id))
            if stands.number < hold.number:
                self._fences.holds[hold.id] = hold
            return self._fences.identity

        return self._fences._use("mirror hold", use)


class MemoryMirror:
    """Stands in for mailroom.coordination.mirror.Mirror, in the same Redis as the fences."""

    def __init__(self, fences: MemoryFences) -> None:
        self._fences = fences

    def read(self) -> Mark | None:
        return self._fences._use("read mark", lambda: self._fences.mark, writes=False)

    def raise_to(self, mark: Mark) -> None:
        """mark_raise.lua"""

        def use() -> None:
            if self._fences.mark is None or self._fences.mark.number < mark.number:
                self._fences.mark = mark

        self._fences._use("raise mark", use)


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
