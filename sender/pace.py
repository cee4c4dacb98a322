"""The rate at which a provider takes mail from this sender, learnt from its answers. Each sender learns its own.

After a throttling answer a provider gets nothing for a second or two, then as many mails a second as it had just
taken, and half of that after the next throttling answer. A provider that takes nothing at all, whatever the reason,
gets one call at a time after growing pauses, even if it is the only provider. Times are monotonic.
"""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final

_TOO_FAST_S: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
_REFUSED_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
_BROKE_S: Final = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
_LONGEST_S: Final = 60.0
_LEAST: Final = 0.5  # mails a second
_BETWEEN_HALVINGS_S: Final = 2.0
_FASTER_EVERY_S: Final = 5.0
_FASTER: Final = 1.1
_FORGET_S: Final = 600.0  # without a complaint
_PROBE_S: Final = 5.0


@dataclass(slots=True)
class _State:
    """The pace of one provider. `failures`: in a row, without an acceptance. `per_s`: None until it throttles us."""

    failures: int = 0
    closed_until: float = 0.0
    per_s: float | None = None
    tokens: float = 0.0
    counted_at: float = 0.0
    complained_at: float = 0.0
    faster_at: float = 0.0
    probing: bool = False  # closed for all but one call, which has no answer yet
    second: int = 0
    in_second: int = 0
    in_last_second: int = 0


class Pace:
    """Thread-safe."""

    def __init__(self, providers: Collection[str], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._states = {provider: _State() for provider in providers}
        self._monotonic = monotonic
        self._lock = threading.Lock()

    def open(self, provider: str) -> bool:
        """False while nothing may be sent through this provider."""
        with self._lock:
            return self._monotonic() >= self._states[provider].closed_until

    def room(self, provider: str) -> int | None:
        """How many mails may go now, none of which counts yet. None: any number."""
        with self._lock:
            state, now = self._states[provider], self._monotonic()
            if now < state.closed_until:
                return 0
            if state.failures > 1:
                return 1
            self._count(state, now)
            return None if state.per_s is None else int(state.tokens)

    def admit(self, provider: str, count: int) -> int:
        """How many of these mails may go now; they count against the rate."""
        with self._lock:
            state, now = self._states[provider], self._monotonic()
            if now < state.closed_until or count <= 0:
                return 0
            if state.failures > 1:
                state.closed_until, state.probing = now + _PROBE_S, True
                return 1
            self._count(state, now)
            if state.per_s is None:
                return count
            admitted = min(count, int(state.tokens))
            state.tokens -= admitted
            return admitted

    def accepted(self, provider: str, count: int) -> None:
        with self._lock:
            state, now = self._states[provider], self._monotonic()
            if state.failures:
                state.failures, state.probing = 0, False
                state.closed_until = min(state.closed_until, now + _TOO_FAST_S[0])
            self._tick(state, now)
            state.in_second += count

    def too_fast(self, provider: str, pause_s: float | None) -> float:
        """Note a throttling answer. Returns the seconds for which nothing is sent."""
        with self._lock:
            state, now = self._states[provider], self._monotonic()
            state.complained_at = now
            if now - state.faster_at >= _BETWEEN_HALVINGS_S or state.per_s is None:
                self._tick(state, now)
                seen = max(state.in_second, state.in_last_second)
                state.per_s = max(_LEAST, state.per_s / 2 if state.per_s else max(1.0, seen))
                state.tokens, state.counted_at = 0.0, now
                state.faster_at = now
            return self._close(state, now, _TOO_FAST_S, pause_s or 0.0)

    def refused(self, provider: str) -> float:
        """Note that the provider refuses the account. Returns the seconds for which nothing is sent."""
        with self._lock:
            return self._close(self._states[provider], self._monotonic(), _REFUSED_S, 0.0)

    def broke(self, provider: str) -> None:
        """Note that a dialogue broke off. After several in a row the provider counts as taking nothing."""
        with self._lock:
            self._close(self._states[provider], self._monotonic(), _BROKE_S, 0.0)

    def failures(self, provider: str) -> int:
        with self._lock:
            return self._states[provider].failures

    @staticmethod
    def _close(state: _State, now: float, pauses: tuple[float, ...], at_least: float) -> float:
        """Close the provider for a pause. Calls that fail while it is closed began before the pause, so they count as
        one failure. A failed probe counts by itself."""
        if now >= state.closed_until or state.probing:
            state.failures += 1
            pause = min(max(pauses[min(state.failures, len(pauses)) - 1], at_least), _LONGEST_S)
            state.closed_until, state.probing = now + pause, False
        return max(0.0, state.closed_until - now)

    @staticmethod
    def _tick(state: _State, now: float) -> None:
        if int(now) != state.second:
            state.in_last_second = state.in_second if int(now) == state.second + 1 else 0
            state.second, state.in_second = int(now), 0

    @staticmethod
    def _count(state: _State, now: float) -> None:
        """Add the tokens since the last count. A rate that was learnt long ago is forgotten."""
        if state.per_s is None or now - state.complained_at > _FORGET_S:
            state.per_s = None
            return
        if now - max(state.complained_at, state.faster_at) > _FASTER_EVERY_S:
            state.per_s, state.faster_at = state.per_s * _FASTER, now
        # A burst is a fifth of a second's mails: a server that counts by the second refuses two full bursts in a row.
        most = max(1.0, state.per_s / 5)
        state.tokens = min(most, state.tokens + (now - state.counted_at) * state.per_s)
        state.counted_at = now
