"""Whether this sender can reach a provider at all: told by the openings of connections, long before a circuit, which
counts the calls of all senders, could tell.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

_SILENT_S: Final = 2.0  # without an answer for so long, while nothing else has got through
_PAUSES_S: Final = (1.0, 2.0, 5.0)  # before a connection is tried again, with no mail waiting for it
# Pauses after a refusal: some servers lock out a client that asks too often.
_REFUSED_PAUSES_S: Final = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
_TOLD_EVERY_S: Final = 1.0  # hundreds of openings that fail together are one failure


@dataclass(slots=True)
class _Openings:
    """Of one provider. `failures` in a row; times are monotonic."""

    under_way: Counter[float] = field(default_factory=Counter)  # by when they began
    failures: int = 0
    try_at: float = 0.0
    told_at: float = float("-inf")
    once_more: bool = False  # many may be opened once more, though the last ones failed
    full: bool = False  # other connections are open: the provider takes no more of them


class Reachability:
    """Thread-safe. `not_reached` is told of a provider where an opening failed, and none has succeeded meanwhile."""

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
        """True while work had better go by another one: an opening failed, and none has succeeded since; or nothing is
        heard."""
        with self._lock:
            found = self._openings[provider]
            silent = bool(found.under_way) and self._monotonic() - min(found.under_way) > _SILENT_S
            return silent or (found.failures > 0 and not found.full)

    def may_open(self, provider: str) -> bool:
        """True while no connection fails, and once after the first failure. Otherwise one is tried now and then, with
        no mail waiting for it."""
        with self._lock:
            found = self._openings[provider]
            once, found.once_more = found.once_more, False
            return found.failures == 0 or once

    def to_be_tried(self) -> list[str]:
        """Those out of reach to which a connection may be tried again now."""
        with self._lock:
            now = self._monotonic()
            found = self._openings.items()
            return [name for name, one in found if one.failures and not one.under_way and now >= one.try_at]

    def trying(self, provider: str, *, since: float) -> None:
        with self._lock:
            self._openings[provider].under_way[since] += 1

    def reached(self, provider: str, *, since: float) -> None:
        """Whatever is still under way has an answer to wait for."""
        with self._lock:
            found = self._openings[provider]
            found.under_way.clear()
            found.failures = 0

    def failed(self, provider: str, *, since: float, others_stand: bool = False, refused: bool = False) -> None:
        with self._lock:
            found, now = self._openings[provider], self._monotonic()
            found.under_way[since] -= 1
            found.under_way = +found.under_way
            pauses = _REFUSED_PAUSES_S if refused else _PAUSES_S
            found.try_at = now + pauses[min(found.failures, len(pauses) - 1)]
            if found.failures and now - found.told_at < _TOLD_EVERY_S:
                return
            found.told_at, found.full = now, others_stand
            found.once_more = found.failures == 0
            found.failures += 1
            if others_stand:
                return
        self._not_reached(provider)
