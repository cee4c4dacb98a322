"""Thin out log lines that repeat the same words: one a minute, with the number of those left out."""

import re
import threading
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import structlog

_EVERY_S: Final = 60.0
_MOST: Final = 1_000  # kinds of lines in memory
# Events that can come as often as something is tried.
_EVENTS: Final = {
    "provider_not_reached",
    "provider_refuses_the_account",
    "provider_is_paused",
    "rate_lowered",
    "sender_waits",
    "planning_waits",
    "circuit_not_told",
    "rate_not_lowered",
    "rate_not_given_back",
    # A store that is away, full or read-only.
    "arrival_not_noted",
    "fence_not_closed",
    "figures_not_read",
    "heartbeat_missed",
    "hold_not_mirrored",
    "hold_not_read",
    "janitor_waits",
    "ledger_waits",
    "limits_not_counted",
    "outcomes_wait",
    "records_wait",
    "request_refused",
    "runs_not_finished",
    "reconciler_waits",
    "store_does_not_answer",
    "store_takes_no_writes",
    "traces_not_sent",
}
_WORDS: Final = ("provider", "store", "code", "error", "reason", "why")
# Ids, times and addresses differ from line to line; the words are the same.
_NUMBERS: Final = re.compile(r"[\w.:-]*\d[\w.:-]*")


class Repeats:
    """A structlog processor."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._said: dict[tuple[str, ...], tuple[float, int]] = {}
        self._lock = threading.Lock()

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if line.get("event") not in _EVENTS:
            return line
        key = (str(line["event"]), *(_NUMBERS.sub("#", str(line.get(name, ""))) for name in _WORDS))
        with self._lock:
            now = self._monotonic()
            at, left_out = self._said.get(key, (float("-inf"), 0))
            if now - at < _EVERY_S:
                self._said[key] = (at, left_out + 1)
                raise structlog.DropEvent
            if len(self._said) >= _MOST:
                self._said.clear()
            self._said[key] = (now, 0)
        if left_out:
            line["left_out"] = left_out
        return line
