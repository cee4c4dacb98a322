"""Fences in Redis: the claim that crossed a dispatch, for which attempt, and its outcome.

A fence is crossed after the claim and before the call. It protects the provider from us: of two senders that both
believe that they hold a lane only one can cross. Every answer comes with Redis' identity, read in the same transaction
(see identity.py): if it is not the identity under which the dispatch was claimed, 'no fence' means *forgotten*, and
permits no call.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mailroom.coordination.holds import hold_key
from mailroom.coordination.redis_client import connect, redis_answers, scripts
from mailroom.coordination.redis_identity import Identity
from mailroom.domain.dispatches.fences import Fence, FenceAnswer, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.outcomes import CalledAt
from mailroom.domain.errors import MisconfiguredStore, StaleToken
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import ClaimId, DispatchId, Lane, Token

# Fences are never deleted, only aged out, later than any backup of MongoDB that would still be restored.
KEPT_FOR: Final = timedelta(days=90)
_TTL_MS: Final = int(KEPT_FOR.total_seconds() * 1000)


class Fences:
    """Thread-safe; each method is one round trip for any number of dispatches. All raise Unavailable."""

    def __init__(self, url: str, *, of: str) -> None:
        """`of`: name of the database whose holds the fences obey."""
        self._of, self._redis = of, connect(url)
        self._identity = Identity(self._redis)
        self._enter, self._cross, self._close, self._release, self._seed = scripts(
            self._redis, "enter", "cross", "close", "release", "remind"
        )

    def redis_identity(self) -> str:
        """Redis' identity: it changes when Redis restarts, fails over, is replaced or emptied."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._identity.ask(pipe)
            return str(pipe.execute()[0])

    def check_server(self) -> None:
        """Raises MisconfiguredStore if Redis is a Cluster, or may evict fences when its memory is full."""
        with redis_answers(self._redis):
            info: Any = self._redis.info()
        if info.get("cluster_enabled"):
            # Identity, mark and holds would be those of one shard: a fail-over of another shard would go unseen.
            raise MisconfiguredStore(
                "Redis is a Cluster (cluster_enabled:1), with which Mailroom does not work: use one server, or a "
                "master with replicas and Sentinels (redis+sentinel://)"
            )
        if info.get("maxmemory") and info.get("maxmemory_policy") != "noeviction":
            raise MisconfiguredStore("Redis has a maxmemory-policy that throws keys away; it must be noeviction")

    def enter(self, tokens: Mapping[Lane, Token]) -> tuple[set[Lane], str]:
        """Record each lane's token. Returns the lanes without a higher token on record, and Redis' identity."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._identity.ask(pipe)
            for lane, token in tokens.items():
                self._enter(keys=[_lane_key(lane)], args=[token, _TTL_MS], client=pipe)
            identity, *answers = pipe.execute()
        return {lane for lane, ours in zip(tokens, answers, strict=True) if ours}, identity

    def cross(self, claims: Mapping[ClaimId, Sequence[Claimed]]) -> tuple[dict[Claimed, FenceAnswer], str]:
        """Cross the fences of claimed dispatches. Returns an answer for each dispatch, and Redis' identity."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._identity.ask(pipe)
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
        """Record acceptances. Returns the dispatches that were accepted before, by another attempt or under another id,
        or refused and split. These are an alarm. '' as an id: it is not known."""
        facts = [(c, [yes.provider_id, yes.attempt, c.claim.id, c.digest]) for c, yes in accepted]
        words = self._for_each_lane(self._close, facts)
        return [claimed.id for (claimed, _), word in zip(accepted, words, strict=True) if word != "closed"]

    def release(self, refused: Sequence[Claimed]) -> list[FenceAnswer | None]:
        """Release fences whose calls are known not to have been accepted. Returns None for a released fence. If another
        claim has crossed, or the dispatch was accepted or split, the fence stays, and its answer is returned."""
        said = [(c, _released(c, FenceState.RELEASED, "")) for c in refused]
        return [None if word == ["written"] else _verdict(word) for word in self._for_each_lane(self._release, said)]

    def split(self, refused: Sequence[tuple[Claimed, int]]) -> list[int | FenceAnswer]:
        """Close fences of refused dispatches as split: from now on only their parts are called, of at most the given
        number of messages. Returns that number, or the earlier one if the dispatch was split before. If another claim
        has crossed, or the dispatch was accepted, the fence stays, and its answer is returned."""
        said = [(c, _released(c, FenceState.SPLIT, most)) for c, most in refused]
        answers = self._for_each_lane(self._release, said)
        return [_size_or_verdict(answer, most) for answer, (_, most) in zip(answers, refused, strict=True)]

    def seed(self, known: Sequence[tuple[Claimed, Fence]]) -> str:
        """Restore fences that Redis has lost. Final outcomes and newer crossings on record stay. Returns the identity
        of the Redis that has them now."""
        said: list[tuple[Claimed, list[Any]]] = []
        for claimed, fence in known:
            at = int(fence.crossed_at.timestamp() * 1000) if fence.crossed_at else ""
            what = [fence.state, fence.claim_id, fence.attempt, fence.digest, fence.provider_id]
            said.append((claimed, [*what, at, _where(fence.called_at), fence.span, _cleared(claimed)]))
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._identity.ask(pipe)
            for places in _by_lane(said).values():
                self._put(self._seed, [said[place] for place in places], pipe)
            return str(pipe.execute()[0])

    def read(self, dispatches: Sequence[tuple[Lane, DispatchId]]) -> tuple[dict[DispatchId, Fence], str]:
        """The fences, and Redis' identity, read at one moment."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._identity.ask(pipe)
            for lane, dispatch in dispatches:
                pipe.hgetall(_fence_key(lane, dispatch))
            identity, *answers = pipe.execute()
        return {id_: fence_of(found) for (_, id_), found in zip(dispatches, answers, strict=True)}, identity

    def read_held(
        self, held: Mapping[Lane, Token], dispatches: Sequence[tuple[Lane, DispatchId]]
    ) -> tuple[dict[DispatchId, Fence], str]:
        """The fences of dispatches in held lanes, and Redis' identity. The lanes' tokens are recorded at the same
        moment: in this memory no lower token crosses a fence from now on. Raises StaleToken if one of the lanes has
        seen a higher token."""
        lanes = list(dict.fromkeys(lane for lane, _ in dispatches))
        with redis_answers(self._redis), self._redis.pipeline(transaction=True) as pipe:
            self._identity.ask(pipe)
            for lane in lanes:
                self._enter(keys=[_lane_key(lane)], args=[held[lane], _TTL_MS], client=pipe)
            for lane, dispatch in dispatches:
                pipe.hgetall(_fence_key(lane, dispatch))
            identity, *answers = pipe.execute()
        for lane, ours in zip(lanes, answers, strict=False):
            if not ours:
                raise StaleToken(lane, held[lane])
        fences = zip(dispatches, answers[len(lanes) :], strict=True)
        return {id_: fence_of(found) for (_, id_), found in fences}, identity

    def seen_token(self, lane: Lane) -> int:
        """The highest token on record for this lane; 0 if none. For tests."""
        with redis_answers(self._redis):
            return int(self._redis.get(_lane_key(lane)) or 0)

    def _for_each_lane(self, script: Any, said: Sequence[tuple[Claimed, list[Any]]]) -> list[Any]:
        """Call the script once for each lane, in one round trip. Returns an answer for each dispatch, in order."""
        by_lane = _by_lane(said)
        with redis_answers(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for places in by_lane.values():
                self._put(script, [said[place] for place in places], pipe)
            answers = pipe.execute()
        replies: list[Any] = [None] * len(said)
        for places, words in zip(by_lane.values(), answers, strict=True):
            for place, word in zip(places, words, strict=True):
                replies[place] = word
        return replies

    def _put(self, script: Any, said: Sequence[tuple[Claimed, list[Any]]], pipe: Any) -> None:
        """Put one call of the script into the pipeline, for dispatches of one lane."""
        keys = [_fence_key(claimed.claim.lane, claimed.id) for claimed, _ in said]
        script(keys=keys, args=[_TTL_MS, *(word for _, words in said for word in words)], client=pipe)

    def close_client(self) -> None:
        self._redis.close()


def _lane_key(lane: Lane) -> str:
    # Braces: in a Redis Cluster all keys of a lane live in one slot, where one script may use them together.
    return f"{{{lane}}}:token"


def _fence_key(lane: Lane, dispatch: DispatchId) -> str:
    return f"{{{lane}}}:fence:{dispatch}"


def _by_lane(said: Sequence[tuple[Claimed, list[Any]]]) -> dict[Lane, list[int]]:
    """The places in `said` of each lane."""
    by_lane: dict[Lane, list[int]] = {}
    for place, (claimed, _) in enumerate(said):
        by_lane.setdefault(claimed.claim.lane, []).append(place)
    return by_lane


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
    """The fence of a Redis hash."""
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
