"""Fences in Redis: who crossed a dispatch for which attempt, and what came of it.

A fence is crossed after the claim and before the call. It protects the provider from us: two senders that both
believe to hold a lane cannot both cross. Every answer comes with Redis' identity, read in the same transaction: if it
is not the one under which the lane was entered, 'no fence' means *forgotten*, and nothing may be called on it.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mailroom.coordination.holds import hold_key
from mailroom.coordination.redis_client import connect, redis_answers, scripts
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.errors import MisconfiguredStore
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import ClaimId, DispatchId, Lane, Token
from mailroom.domain.outcomes import CalledAt

# Fences are never deleted, only aged out: later than any backup of MongoDB that one would restore.
KEPT_FOR: Final = timedelta(days=90)
_TTL_MS: Final = int(KEPT_FOR.total_seconds() * 1000)
IDENTITY: Final = "mailroom:identity"  # a hash, see lua/identity.lua


@dataclass(frozen=True, slots=True)
class FenceAnswer:
    """What the fence says to one claimed dispatch: exactly one of these is meant.

    `go`: call. `accepted`: it was before, (attempt, provider's id). `stale`: a higher token was seen. `split`: it was
    refused before, and goes on in parts. `held`: its run, or all sending, is held. Otherwise it is in doubt.
    """

    go: bool = False
    stale: bool = False
    split: bool = False
    held: bool = False
    crossed_at: datetime | None = None  # in doubt: when the crossing that stands was claimed, if that is known
    crossed_by: ClaimId | None = None  # in doubt: by which claim
    called_at: CalledAt | None = None  # in doubt, or accepted: by whom that was carried, if that is known
    # In doubt: it was accepted, or refused and split, with other recipients than it has now. Nothing can settle that.
    final: bool = False
    accepted: tuple[int, str] | None = None


class Fences:
    """Thread-safe; each method is one round trip for any number of dispatches. All raise Unavailable."""

    def __init__(self, url: str, *, of: str) -> None:
        """`of`: the name of the database whose holds the fences heed."""
        self._of, self._redis = of, connect(url)
        self._enter, self._cross, self._close, self._release, self._seed, self._identity = scripts(
            self._redis, "enter", "cross", "close", "release", "remind", "identity"
        )

    def redis_identity(self) -> str:
        """Redis' identity: it changes when Redis restarts, fails over, is replaced or emptied."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._ask_identity(pipe)
            return str(pipe.execute()[0])

    def check_eviction(self) -> None:
        """Raises MisconfiguredStore if Redis may throw fences away when its memory is full."""
        with redis_answers(self._redis):
            memory: Any = self._redis.info("memory")
        if memory.get("maxmemory") and memory.get("maxmemory_policy") != "noeviction":
            raise MisconfiguredStore("Redis has a maxmemory-policy that throws keys away; it must be noeviction")

    def enter(self, tokens: Mapping[Lane, Token]) -> tuple[set[Lane], str]:
        """Bring tokens to their lanes. Returns the lanes that saw no higher one, and Redis' identity."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._ask_identity(pipe)
            for lane, token in tokens.items():
                self._enter(keys=[_lane_key(lane)], args=[token, _TTL_MS], client=pipe)
            identity, *answers = pipe.execute()
        return {lane for lane, ours in zip(tokens, answers, strict=True) if ours}, identity

    def cross(self, claims: Mapping[ClaimId, Sequence[Claimed]]) -> tuple[dict[Claimed, FenceAnswer], str]:
        """Cross the fences of claimed dispatches. Returns a verdict for each claim of each, and Redis' identity."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._ask_identity(pipe)
            for dispatches in claims.values():
                claim = dispatches[0].claim
                args: list[Any] = [claim.token, claim.id, _TTL_MS]
                for claimed in dispatches:
                    at, where = int(claimed.claimed_at.timestamp() * 1000), CalledAt(claimed.provider, claimed.account)
                    args += [claimed.attempt, claimed.digest, at, _where(where), claimed.span, _cleared(claimed)]
                keys = [_lane_key(claim.lane), hold_key(self._of, EVERYTHING)]
                for claimed in dispatches:
                    keys += [_fence_key(claim.lane, claimed.id), hold_key(self._of, claimed.run_id)]
                self._cross(keys=keys, args=args, client=pipe)
            identity, *answers = pipe.execute()
        verdicts: dict[Claimed, FenceAnswer] = {}
        for dispatches, words in zip(claims.values(), answers, strict=True):
            for claimed, word in zip(dispatches, words, strict=True):
                verdicts[claimed] = _verdict(word)
        return verdicts, identity

    def close(self, accepted: Sequence[tuple[Claimed, Acceptance]]) -> list[DispatchId]:
        """Record acceptances. Returns those that were accepted before, by another attempt or under another id, or
        refused and split: an alarm."""
        facts = [(c, [yes.provider_id, yes.attempt, c.claim.id, c.digest]) for c, yes in accepted]
        words = self._for_each_lane(self._close, facts)
        return [claimed.id for (claimed, _), word in zip(accepted, words, strict=True) if word != "closed"]

    def release(self, refused: Sequence[Claimed]) -> list[FenceAnswer | None]:
        """Release fences whose calls are known not to have been accepted; each bound to its own claim. Where another
        claim has crossed, or it was accepted, or split, it is not released: the verdict says what stands."""
        said = [(c, _released(c, FenceState.RELEASED, "")) for c in refused]
        return [None if word == ["written"] else _verdict(word) for word in self._for_each_lane(self._release, said)]

    def split(self, refused: Sequence[tuple[Claimed, int]]) -> list[int | FenceAnswer]:
        """These were refused for sure and are never called again: their parts are, of at most so many messages. Each
        bound to its own claim. Returns for each how many that is: where it was split before, what was said then. Where
        another claim has crossed, or it was accepted, it is not split: the verdict says what stands."""
        said = [(c, _released(c, FenceState.SPLIT, most)) for c, most in refused]
        answers = self._for_each_lane(self._release, said)
        return [_size_or_verdict(answer, most) for answer, (_, most) in zip(answers, refused, strict=True)]

    def seed(self, known: Sequence[tuple[Claimed, Fence]]) -> None:
        """Tell Redis what it knew of these before it lost its memory. What it knows of a crossing since stays."""
        said: list[tuple[Claimed, list[Any]]] = []
        for claimed, fence in known:
            at = int(fence.crossed_at.timestamp() * 1000) if fence.crossed_at else ""
            what = [fence.state, fence.claim_id, fence.attempt, fence.digest, fence.provider_id]
            said.append((claimed, [*what, at, _where(fence.called_at), fence.span, _cleared(claimed)]))
        self._for_each_lane(self._seed, said)

    def read(self, dispatches: Sequence[tuple[Lane, DispatchId]]) -> tuple[dict[DispatchId, Fence], str]:
        """The fences as they stand, and Redis' identity at that very moment."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._ask_identity(pipe)
            for lane, dispatch in dispatches:
                pipe.hgetall(_fence_key(lane, dispatch))
            identity, *answers = pipe.execute()
        return {id_: fence_of(found) for (_, id_), found in zip(dispatches, answers, strict=True)}, identity

    def seen_token(self, lane: Lane) -> int:
        """The highest token this lane has seen, 0 if none: for tests and `doctor`."""
        with redis_answers(self._redis):
            return int(self._redis.get(_lane_key(lane)) or 0)

    def _for_each_lane(self, script: Any, said: Sequence[tuple[Claimed, list[Any]]]) -> list[Any]:
        """One call of the script a lane, all in one round trip. Returns an answer for each, in their order."""
        by_lane: dict[Lane, list[int]] = {}
        for place, (claimed, _) in enumerate(said):
            by_lane.setdefault(claimed.claim.lane, []).append(place)
        with redis_answers(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for lane, places in by_lane.items():
                keys = [_fence_key(lane, said[place][0].id) for place in places]
                words = [_TTL_MS, *(word for place in places for word in said[place][1])]
                script(keys=keys, args=words, client=pipe)
            answers = pipe.execute()
        told: list[Any] = [None] * len(said)
        for places, words in zip(by_lane.values(), answers, strict=True):
            for place, word in zip(places, words, strict=True):
                told[place] = word
        return told

    def _ask_identity(self, pipe: Any) -> None:
        """The answer at the head of a transaction."""
        self._identity(keys=[IDENTITY], args=[secrets.token_hex(8)], client=pipe)

    def close_client(self) -> None:
        self._redis.close()


def _lane_key(lane: Lane) -> str:
    # Braces: in a Redis Cluster all keys of a lane live in one slot, where one script may use them together.
    return f"{{{lane}}}:token"


def _fence_key(lane: Lane, dispatch: DispatchId) -> str:
    return f"{{{lane}}}:fence:{dispatch}"


def _cleared(claimed: Claimed) -> str:
    return ",".join(claimed.cleared)


def _released(claimed: Claimed, outcome: FenceState, most: int | str) -> list[Any]:
    return [outcome, claimed.claim.id, claimed.attempt, claimed.digest, most, _cleared(claimed)]


def _verdict(answer: Sequence[str]) -> FenceAnswer:
    match answer:
        case ["done", attempt, where, provider_id]:
            return FenceAnswer(accepted=(int(attempt), provider_id), called_at=_called_at(where))
        case ["doubt", at_ms, claim, where, final]:
            by, at = ClaimId(claim), _called_at(where)
            return FenceAnswer(crossed_at=_time(at_ms), crossed_by=by, called_at=at, final=bool(final))
        case ["split", *_]:
            return FenceAnswer(split=True)
    (word,) = answer
    return FenceAnswer(go=word == "go", stale=word == "stale", held=word == "held")


def _size_or_verdict(answer: Sequence[str], most: int) -> int | FenceAnswer:
    match answer:
        case ["written"]:
            return most
        case ["split", size]:
            return int(size)
    return _verdict(answer)


def fence_of(found: Mapping[str, str]) -> Fence:
    """A fence as its hash shows it."""
    if not found:
        return Fence(FenceState.NONE)
    return Fence(
        state=FenceState(found["outcome"]),
        attempt=int(found["attempt"]),
        claim_id=ClaimId(found["claim"]),
        digest=found["digest"],
        provider_id=found.get("provider_id", ""),
        crossed_at=_time(found.get("at", "")),
        called_at=_called_at(found.get("where", "")),
        span=found.get("span", ""),
    )


def _time(ms: str) -> datetime | None:
    return datetime.fromtimestamp(int(ms) / 1000, UTC) if ms else None


def _where(called_at: CalledAt | None) -> str:
    return f"{called_at.provider}|{called_at.account}" if called_at else ""


def _called_at(where: str) -> CalledAt | None:
    provider, _, account = where.partition("|")
    return CalledAt(provider, account) if provider else None
