"""Token buckets in Redis, shared by all senders. After a loss of Redis' data all are full: one burst more, at most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mailroom.coordination.redis_client import connect, redis_answers, scripts
from mailroom.domain.rate_queue import LONGEST_WAIT, PATIENCE, Wanted
from mailroom.domain.rates import Rate

RECOVERS: Final = timedelta(minutes=1)  # after each such span without a complaint a lowered rate is doubled
_LEAST: Final = 1 / 64
_BETWEEN_HALVINGS: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Level:
    """State of a bucket: the part of its rate in force, and the end of a pause in which nothing goes."""

    factor: float = 1.0
    paused_until: datetime | None = None


class Rates:
    """The buckets of one database, by its name. Thread-safe. All methods raise Unavailable."""

    def __init__(self, url: str, *, of: str) -> None:
        self._prefix = f"mailroom:rate:{of}:"
        self._redis = connect(url)
        self._take, self._queue, self._lower = scripts(self._redis, "rate_take", "rate_queue", "rate_lower")

    def take(self, bucket: str, rate: Rate, calls: Sequence[tuple[int, bool]]) -> int:
        """Take mails for the first calls that may go now; a call is (mails, urgent). Returns the number of calls."""
        pairs = [part for mails, urgent in calls for part in (mails, int(urgent))]
        with redis_answers(self._redis):
            return int(self._take(keys=[self._prefix + bucket], args=[rate.per_s, rate.at_once, _ms(RECOVERS), *pairs]))

    def hold(self, rates: Mapping[str, Rate], calls: Sequence[Wanted]) -> list[timedelta | None]:
        """For each call None if it may go now (its mails are taken), or the time to wait before asking again."""
        buckets = {name: number for number, name in enumerate(rates, start=1)}
        args: list[Any] = [len(buckets), _ms(LONGEST_WAIT), _ms(PATIENCE)]
        args += [part for rate in rates.values() for part in (rate.per_s, rate.at_once)]
        for call in calls:
            args += [int(call.line), int(call.returns), len(call.takes)]
            args += [part for name, mails in call.takes.items() for part in (buckets[name], mails)]
        with redis_answers(self._redis):
            waits: Any = self._queue(keys=[self._prefix + name for name in rates], args=args)
        return [timedelta(milliseconds=wait) if wait else None for wait in waits]

    def give_back(self, bucket: str, mails: int) -> None:
        """Return mails to a bucket that were taken but are not sent."""
        with redis_answers(self._redis):
            if self._redis.exists(self._prefix + bucket):
                self._redis.hincrbyfloat(self._prefix + bucket, "tokens", mails)

    def lower(self, bucket: str, pause: timedelta | None) -> float:
        """Halve a rate after a provider's complaint about the pace. Returns the part of the rate now in force."""
        bounded = min(pause or timedelta(), _LONGEST_PAUSE)
        with redis_answers(self._redis):
            return float(self._lower(keys=[self._prefix + bucket], args=[_LEAST, _ms(bounded), _ms(_BETWEEN_HALVINGS)]))

    def look(self, buckets: Sequence[str]) -> dict[str, Level]:
        """The state of these buckets after their last call."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for bucket in buckets:
                pipe.hmget(self._prefix + bucket, "factor", "paused_until")
            answers = pipe.execute()
        return {bucket: _level(*answer) for bucket, answer in zip(buckets, answers, strict=True)}

    def forget(self, bucket: str) -> None:
        """Reset a bucket whose limit was changed by a person."""
        with redis_answers(self._redis):
            self._redis.delete(self._prefix + bucket)

    def close(self) -> None:
        self._redis.close()


def _level(factor: str | None, paused_until: str | None) -> Level:
    until = datetime.fromtimestamp(float(paused_until) / 1000, UTC) if paused_until else None
    return Level(float(factor or 1), until if until and until > datetime.now(UTC) else None)


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
