"""Token buckets in Redis, one for all senders. A Redis that forgets them fills them up: at most once more at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from mailroom.coordination.redis_client import connect, redis_answers, scripts
from mailroom.domain.rates import Rate

RECOVERS: Final = timedelta(minutes=1)  # without another complaint a lowered rate is doubled after each of these
_LEAST: Final = 1 / 64
_BETWEEN_HALVINGS: Final = timedelta(seconds=5)
_LONGEST_PAUSE: Final = timedelta(hours=6)
# Nobody is told to come later than this: by then the limit may be another one.
LONGEST_WAIT: Final = timedelta(minutes=10)


class QueueClass(IntEnum):
    """Queueing class of a call while a bucket is empty."""

    NONE = 0  # sent at once; the bucket goes negative
    MAILS = 1
    CAMPAIGNS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a call takes: mails from each of the buckets by their names."""

    takes: Mapping[str, int]
    line: QueueClass = QueueClass.CAMPAIGNS
    returns: bool = False  # it was held back before: it goes before who is new


@dataclass(frozen=True, slots=True)
class Level:
    """How a bucket stands: what part of its rate is in force, and until when nothing goes at all."""

    factor: float = 1.0
    paused_until: datetime | None = None


class Rates:
    """The buckets of one database, by its name. Thread-safe. All methods raise Unavailable."""

    def __init__(self, url: str, *, of: str) -> None:
        self._prefix = f"mailroom:rate:{of}:"
        self._redis = connect(url)
        self._take, self._hold, self._lower = scripts(self._redis, "rate_take", "rate_hold", "rate_lower")

    def take(self, bucket: str, rate: Rate, calls: Sequence[tuple[int, bool]]) -> int:
        """Take for as many of these calls, in their order, as may go now; each is (mails, urgent). Returns how many."""
        pairs = [part for mails, urgent in calls for part in (mails, int(urgent))]
        with redis_answers(self._redis):
            return int(self._take(keys=[self._prefix + bucket], args=[rate.per_s, rate.at_once, _ms(RECOVERS), *pairs]))

    def hold(self, rates: Mapping[str, Rate], calls: Sequence[Wanted]) -> list[timedelta | None]:
        """For each call None, if it may go now and has paid, or after how long it should come again."""
        buckets = {name: number for number, name in enumerate(rates, start=1)}
        args: list[Any] = [len(buckets), _ms(LONGEST_WAIT)]
        args += [part for rate in rates.values() for part in (rate.per_s, rate.at_once)]
        for call in calls:
            args += [int(call.line), int(call.returns), len(call.takes)]
            args += [part for name, mails in call.takes.items() for part in (buckets[name], mails)]
        with redis_answers(self._redis):
            waits: Any = self._hold(keys=[self._prefix + name for name in rates], args=args)
        return [timedelta(milliseconds=wait) if wait else None for wait in waits]

    def give_back(self, bucket: str, mails: int) -> None:
        """Some that were paid for do not go after all."""
        with redis_answers(self._redis):
            if self._redis.exists(self._prefix + bucket):
                self._redis.hincrbyfloat(self._prefix + bucket, "tokens", mails)

    def lower(self, bucket: str, pause: timedelta | None) -> float:
        """A provider said that we are too fast. Returns the part of the rate that is in force from now on."""
        bounded = min(pause or timedelta(), _LONGEST_PAUSE)
        with redis_answers(self._redis):
            return float(self._lower(keys=[self._prefix + bucket], args=[_LEAST, _ms(bounded), _ms(_BETWEEN_HALVINGS)]))

    def look(self, buckets: Sequence[str]) -> dict[str, Level]:
        """How these stand, as their last call left them."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for bucket in buckets:
                pipe.hmget(self._prefix + bucket, "factor", "paused_until")
            answers = pipe.execute()
        return {bucket: _level(*answer) for bucket, answer in zip(buckets, answers, strict=True)}

    def forget(self, bucket: str) -> None:
        """A person has set another limit: begin anew."""
        with redis_answers(self._redis):
            self._redis.delete(self._prefix + bucket)

    def close(self) -> None:
        self._redis.close()


def _level(factor: str | None, paused_until: str | None) -> Level:
    until = datetime.fromtimestamp(float(paused_until) / 1000, UTC) if paused_until else None
    return Level(float(factor or 1), until if until and until > datetime.now(UTC) else None)


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
