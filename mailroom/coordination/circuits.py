"""The providers' circuit breakers in Redis, shared by all senders. After a loss of Redis' data all are closed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from mailroom.coordination.redis_client import connect, redis_answers, scripts
from mailroom.domain.circuits import BETWEEN_PROBES, LONGEST_COOLDOWN, Circuit, CircuitRule, CircuitState


class Circuits:
    """The circuits of one database, by its name (`of`). Thread-safe. All methods raise Unavailable."""

    def __init__(self, url: str, rule: CircuitRule, *, of: str) -> None:
        self._prefix, self._rule = f"mailroom:circuit:{of}:", rule
        self._redis = connect(url)
        self._report, self._look, self._probe = scripts(self._redis, "circuit_report", "circuit_look", "circuit_probe")

    @property
    def failures(self) -> int:
        """The number of failed calls within the window that opens a circuit."""
        return self._rule.failures

    def look(self, providers: Sequence[str]) -> dict[str, Circuit]:
        """The circuit of each provider."""
        with redis_answers(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for provider in providers:
                self._look(keys=[self._prefix + provider], client=pipe)
            answers = pipe.execute()
        return {provider: _circuit(answer) for provider, answer in zip(providers, answers, strict=True)}

    def report(self, counts: Mapping[str, tuple[int, int]]) -> dict[str, str]:
        """Count calls: (good, bad) by provider. Returns the changed circuits by provider: `opened` or `closed`."""
        rule = self._rule
        fixed: list[Any] = [_ms(rule.window), rule.failures, _ms(rule.cooldown), _ms(LONGEST_COOLDOWN), rule.healthy]
        with redis_answers(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for provider, (good, bad) in counts.items():
                self._report(keys=[self._prefix + provider], args=[*fixed, good, bad], client=pipe)
            answers = pipe.execute()
        return {provider: answer for provider, answer in zip(counts, answers, strict=True) if answer}

    def probe(self, provider: str) -> bool:
        """True if one call may be made now to a provider whose circuit is half open."""
        with redis_answers(self._redis):
            return bool(self._probe(keys=[self._prefix + provider], args=[_ms(BETWEEN_PROBES)]))

    def rest(self, provider: str, span: timedelta, why: str) -> None:
        """Open a provider's circuit for this span: the provider refuses the account, not one mail."""
        until = int((datetime.now(UTC) + span).timestamp() * 1000)
        circuit: dict[Any, Any] = {
            "state": CircuitState.OPEN.value,
            "until": until,
            "cooldown": _ms(self._rule.cooldown),
            "why": why,
        }
        with redis_answers(self._redis):
            self._redis.hset(self._prefix + provider, mapping=circuit)

    def close_circuit(self, provider: str) -> None:
        """Close a circuit by hand."""
        with redis_answers(self._redis):
            self._redis.delete(self._prefix + provider)

    def close(self) -> None:
        self._redis.close()


def _circuit(answer: Sequence[Any]) -> Circuit:
    state, until, good, bad, why = answer
    opened = datetime.fromtimestamp(float(until) / 1000, UTC) if until else None
    return Circuit(CircuitState(state), opened, int(good), int(bad), why)


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
