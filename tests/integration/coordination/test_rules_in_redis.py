"""The scripts inside Redis do what the rules in the domain say: one step of each, from any stored state."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from mailroom.coordination.circuits import Circuits
from mailroom.coordination.rate_buckets import Rates
from mailroom.domain.circuits import (
    SLICES,
    CircuitChange,
    CircuitRecord,
    CircuitRule,
    CircuitState,
    after_calls,
)
from mailroom.domain.rate_queue import Bucket, QueueClass, Wanted, hold
from mailroom.domain.rates import Rate
from tests.support.system import System

RULE = CircuitRule(window=timedelta(seconds=60), failures=5, cooldown=timedelta(seconds=30), healthy=3)
SLICE_MS = 60_000 / SLICES
EACH = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class ClockedRedis:
    """Redis with a step at a known moment of its own clock."""

    def __init__(self, url: str) -> None:
        self.redis: Redis = Redis.from_url(url, decode_responses=True)

    def now(self) -> int:
        seconds, micros = self.redis.time()  # type: ignore[misc]
        return int(seconds) * 1000 + int(micros) // 1000

    def store(self, key: str, fields: Mapping[str, object]) -> None:
        self.redis.delete(key)
        if fields:
            self.redis.hset(key, mapping=dict(fields))  # type: ignore[arg-type]


@pytest.fixture
def clocked(system: System) -> Iterator[ClockedRedis]:
    made = ClockedRedis(system.settings.stores.redis_url)
    yield made
    made.redis.close()


counts = st.dictionaries(st.integers(-SLICES - 2, 0), st.integers(1, 6), max_size=6)
circuits_stored = st.one_of(
    st.builds(lambda good, bad: CircuitRecord(good=good, bad=bad), counts, counts),
    st.builds(
        lambda cooldown, healthy: CircuitRecord(CircuitState.HALF, 0.0, cooldown, healthy),
        st.sampled_from([30_000.0, 400_000.0, 600_000.0]),
        st.integers(0, 2),
    ),
    st.just(CircuitRecord(CircuitState.OPEN, 9e12, 30_000.0)),
)


@EACH
@given(stored=circuits_stored, good=st.integers(0, 4), bad=st.integers(0, 6))
def test_a_circuit_moves_in_redis_as_the_rule_says(
    system: System, clocked: ClockedRedis, stored: CircuitRecord, good: int, bad: int
) -> None:
    key = f"mailroom:circuit:{system.db.name}:mailgun"
    circuits = Circuits(system.settings.stores.redis_url, RULE, of=system.db.name)
    while True:  # until both clocks show the same millisecond around the step
        now = clocked.now()
        record = at_slice(stored, int(now // SLICE_MS))
        clocked.store(key, fields_of(record))
        before, reported, after = clocked.now(), circuits.report({"mailgun": (good, bad)}), clocked.now()
        if before // SLICE_MS == after // SLICE_MS == now // SLICE_MS:
            break
    circuits.close()

    expected, change = after_calls(record, RULE, good, bad, now=before)

    found = record_of(clocked.redis.hgetall(key))  # type: ignore[arg-type]
    assert reported.get("mailgun", CircuitChange.NONE) == change
    assert (found.state, found.cooldown, found.healthy) == (expected.state, expected.cooldown, expected.healthy)
    assert (found.good, found.bad) == (expected.good, expected.bad)
    if change is CircuitChange.OPENED:
        assert found.until == pytest.approx(expected.until, abs=after - before + 1)


BUCKETS = {"domain/a.example": Rate(10.0, 3), "domain/b.example": Rate(0.5, 1)}
times = st.floats(-20_000, 20_000)
buckets_stored = st.dictionaries(
    st.sampled_from(list(BUCKETS)),
    st.builds(Bucket, st.floats(-20, 60), st.floats(-30_000, 0), times, times),
)
calls_wanted = st.lists(
    st.builds(
        Wanted,
        st.dictionaries(st.sampled_from(list(BUCKETS)), st.integers(1, 5), min_size=1),
        st.sampled_from(list(QueueClass)),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@EACH
@given(stored=buckets_stored, calls=calls_wanted)
def test_a_limited_call_waits_in_redis_as_the_rule_says(
    system: System, clocked: ClockedRedis, stored: Mapping[str, Bucket], calls: list[Wanted]
) -> None:
    keys = {name: f"mailroom:rate:{system.db.name}:{name}" for name in BUCKETS}
    rates = Rates(system.settings.stores.redis_url, of=system.db.name)
    while True:
        now = clocked.now()
        shifted = {name: shift(bucket, now) for name, bucket in stored.items()}
        for name, key in keys.items():
            clocked.store(key, fields_of_bucket(shifted[name]) if name in shifted else {})
        before, waits, after = clocked.now(), rates.hold(BUCKETS, calls), clocked.now()
        if before == after:
            break
    rates.close()

    expected, buckets = hold(shifted, BUCKETS, calls, now=before)

    assert [wait / timedelta(milliseconds=1) if wait else 0 for wait in waits] == pytest.approx(expected, abs=1)
    for name, key in keys.items():
        found = clocked.redis.hgetall(key)
        if name in buckets:
            assert {field: float(value) for field, value in found.items()} == pytest.approx(  # type: ignore[union-attr]
                fields_of_bucket(buckets[name]), abs=0.01
            )
        else:
            assert bool(found) == (name in shifted)


def at_slice(stored: CircuitRecord, newest: int) -> CircuitRecord:
    """The same, its slices counted back from the newest one."""
    good, bad = ({newest + ago: count for ago, count in calls.items()} for calls in (stored.good, stored.bad))
    return CircuitRecord(stored.state, stored.until, stored.cooldown, stored.healthy, good, bad)


def fields_of(record: CircuitRecord) -> dict[str, object]:
    counted = {f"g{n}": count for n, count in record.good.items()} | {f"b{n}": c for n, c in record.bad.items()}
    if record.state is CircuitState.CLOSED:
        return dict(counted)
    return {"state": record.state.value, "until": record.until, "cooldown": record.cooldown, "healthy": record.healthy}


def record_of(found: Mapping[str, Any]) -> CircuitRecord:
    good, bad = ({int(f[1:]): int(v) for f, v in found.items() if f[0] == k and f[1:].isdigit()} for k in "gb")
    until, cooldown = (float(found[name]) if name in found else None for name in ("until", "cooldown"))
    return CircuitRecord(
        CircuitState(found.get("state", "closed")), until, cooldown, int(found.get("healthy", 0)), good, bad
    )


def shift(bucket: Bucket, now: int) -> Bucket:
    return Bucket(bucket.tokens, now + bucket.at, now + bucket.mails_end, now + bucket.campaigns_end)


def fields_of_bucket(bucket: Bucket) -> dict[str, float]:
    ends = {"mails": bucket.mails_end, "queue": bucket.campaigns_end}
    return {"tokens": bucket.tokens, "at": bucket.at, **ends}
