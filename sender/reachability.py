"""Whether this sender can reach a provider at all, by the openings of its connections.

They show it long before a circuit, which counts the calls of all senders, could.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

_SILENT_S: Final = 2.0  # without an answer for so long, and without a success
_PAUSES_S: Final = (1.0, 2.0, 5.0)  # before the next try, for which no mail waits
# Pauses after a refusal: some servers lock out a client that asks too often.
_REFUSED_PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_REPORTED_EVERY_S: Final = 1.0  # hundreds of openings that fail together are one failure


@dataclass(slots=True)
class _Openings:
    """The openings of one provider. `failures`: in a row. Times are monotonic."""

    under_way: Counter[float] = field(default_factory=Counter)  # by the time of their beginning
    failures: int = 0
    try_at: float = 0.0
    reported_at: float = float("-inf")
    once_more: bool = False  # connections may be opened once more, though the last openings failed
    full: bool = False  # other connections are open: the provider only takes no more

    def may_be_tried(self, now: float) -> bool:
        return self.failures > 0 and not self.under_way and now >= self.try_at


class Reachability:
    """Thread-safe. `not_reached(provider)` is called when an opening fails and no other connection is open: once a
    second at most while no opening succeeds."""

    def __init__(
        self,
        providers: Collection[str],
        not_reached: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._not_reached, self._monotonic = not_reached, monotonic
        self._openings = {provider: _Openings() for provider in providers}
        self._lock = threading.Lock()

    def out_of_reach(self, provider: str) -> bool:
        """True while dispatches had better go to another provider: an opening failed and none has succeeded since, or
        openings get no answer."""
        with self._lock:
            openings = self._openings[provider]
            silent = bool(openings.under_way) and self._monotonic() - min(openings.under_way) > _SILENT_S
            return silent or (openings.failures > 0 and not openings.full)

    def may_open(self, provider: str) -> bool:
        """True while no opening fails, and once more after the first failure. After that, `to_be_tried` names the
        provider now and then, with no mail waiting for the connection."""
        with self._lock:
            openings = self._openings[provider]
            once, openings.once_more = openings.once_more, False
            return openings.failures == 0 or once

    def to_be_tried(self) -> list[str]:
        """The providers with failed openings to which a connection may be tried again now."""
        with self._lock:
            now = self._monotonic()
            return [name for name, openings in self._openings.items() if openings.may_be_tried(now)]

    def trying(self, provider: str, *, since: float) -> None:
        with self._lock:
            self._openings[provider].under_way[since] += 1

    def reached(self, provider: str) -> None:
        """Note a success. Openings still under way no longer count as silent."""
        with self._lock:
            openings = self._openings[provider]
            openings.under_way.clear()
            openings.failures = 0

    def failed(self, provider: str, *, since: float, others_open: bool = False, refused: bool = False) -> None:
        with self._lock:
            openings, now = self._openings[provider], self._monotonic()
            openings.under_way[since] -= 1
            openings.under_way = +openings.under_way
            pauses = _REFUSED_PAUSES_S if refused else _PAUSES_S
            openings.try_at = now + pauses[min(openings.failures, len(pauses) - 1)]
            if openings.failures and now - openings.reported_at < _REPORTED_EVERY_S:
                return
            openings.reported_at, openings.full = now, others_open
            openings.once_more = openings.failures == 0
            openings.failures += 1
            if others_open:
                return
        self._not_reached(provider)
