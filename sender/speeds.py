"""How quick each provider is for this sender, and which of them are slow: the rule of domain/slowness.py by a clock.

Each sender learns this by itself, from single mails and their like: the duration of a batch depends on its size.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

import structlog

from mailroom.domain.dispatches.outcomes import Accepted, CallResult, InPart
from mailroom.domain.slowness import LARGEST_BYTES, Slower, Speed, after_call, sample_is_due

log = structlog.get_logger()
_NEVER: Final = Speed()


class Speeds:
    """Thread-safe."""

    def __init__(self, providers: Collection[str], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._speeds = dict.fromkeys(providers, _NEVER)
        self._reasons: dict[str, Slower] = {}
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def note(self, result: CallResult, takes_mail: Callable[[str], bool]) -> None:
        """Note the duration of a call, if it says anything. `takes_mail`: whether a provider takes mail now; only such
        providers are compared."""
        if len(self._speeds) == 1:
            return  # there is none to compare it with
        took_s, claimed, outcome = result.took_s, result.claimed, result.outcome
        answered = isinstance(outcome, InPart) or (isinstance(outcome, Accepted) and outcome.attempt is None)
        if took_s is None or not answered or claimed.messages > 1 or claimed.size > LARGEST_BYTES:
            return
        name = claimed.provider
        with self._lock:
            others = {n: speed for n, speed in self._speeds.items() if n != name and takes_mail(n)}
            before = self._speeds[name]
            speed, reason = after_call(before, took_s, others, now=self._monotonic())
            self._speeds[name] = speed
            if reason:
                self._reasons[name] = reason
        if reason:
            log.warning("provider_is_slow", provider=name, reason=str(reason), rest_s=speed.rest_s)
        elif before.slow and not speed.slow:
            log.info("provider_is_quick_again", provider=name)

    def slow(self, provider: str) -> bool:
        """True if other providers should get this provider's mail."""
        return self._speeds[provider].slow

    def reasons(self) -> dict[str, str]:
        """Why each slow provider counts as slow, by its name."""
        with self._lock:
            return {name: str(reason) for name, reason in self._reasons.items() if self._speeds[name].slow}

    def take_sample(self, provider: str) -> bool:
        """True if one mail should go there now for the sake of its duration. The next one may go seconds later."""
        with self._lock:
            now = self._monotonic()
            due = sample_is_due(provider, self._speeds, now=now)
            if due:
                self._speeds[provider] = replace(self._speeds[provider], sampled_at=now)
            return due
