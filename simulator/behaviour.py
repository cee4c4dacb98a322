"""How the simulator is to behave: knobs that stay, and faults that happen a number of times.

Both are set over HTTP (`/simulator/behaviour`, `/simulator/faults`) and live only as long as the process.
"""

import threading
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any


class Fault(StrEnum):
    """What goes wrong with a call. 'after' means after the mail was accepted."""

    TOO_MANY = "429"
    TOO_MANY_BARE = "429_without_header"
    ERROR_BEFORE = "500_before"
    ERROR_AFTER = "500_after"
    DROP_BEFORE = "drop_before"
    DROP_AFTER = "drop_after"
    HANG_BEFORE = "hang_before"
    HANG_AFTER = "hang_after"
    PLAIN_200 = "plain_200"
    CUT_JSON = "cut_json_after"
    PART = "500_part_after"  # half of the recipients were taken, then it failed
    FORBIDDEN = "401"
    WRONG_REGION = "404"


AFTER = frozenset({Fault.ERROR_AFTER, Fault.DROP_AFTER, Fault.HANG_AFTER, Fault.CUT_JSON, Fault.PART})


@dataclass(frozen=True, slots=True)
class Knobs:
    latency_s: float = 0.0  # before each answer to a send
    delivery_s: float = 0.2  # from acceptance to `delivered`
    event_lag_s: float = 0.0  # from an event to its being visible in the log
    log_status: int = 200  # any other: the log answers with this error
    log_lies_empty: bool = False
    hang_s: float = 30.0
    idle_limit_s: float = 600.0  # an idle connection is closed after this
    duplicate_webhooks: bool = False
    shuffle_webhooks: bool = False
    new_token_on_retry: bool = False
    webhook_retry_scale: float = 1.0  # of Mailgun's 5, 10, 15 minutes, 1, 2, 4 hours
    refused_addresses: list[str] = field(default_factory=list)


class Behaviour:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._knobs = Knobs()
        self._faults: list[tuple[Fault, int]] = []
        self.received = 0  # calls to send, refused ones included

    @property
    def knobs(self) -> Knobs:
        with self._lock:
            return self._knobs

    def turn(self, changes: dict[str, Any]) -> Knobs:
        """Change knobs by name. Raises ValueError for one that does not exist or has another type."""
        with self._lock:
            known = asdict(self._knobs)
            for name, value in changes.items():
                number = isinstance(known.get(name), float) and isinstance(value, int | float)
                if name not in known or not (number or type(value) is type(known[name])):
                    raise ValueError(f"there is no knob '{name}' that takes {value!r}")
            self._knobs = replace(self._knobs, **changes)
            return self._knobs

    def add_fault(self, fault: Fault, times: int) -> None:
        """The next `times` calls fail so; 0: all of them, until cleared."""
        with self._lock:
            self._faults.append((fault, times))

    def clear_faults(self) -> None:
        with self._lock:
            self._faults.clear()

    def faults(self) -> list[tuple[Fault, int]]:
        with self._lock:
            return list(self._faults)

    def next_fault(self) -> Fault | None:
        """The fault of the call at hand, counted down; the call is counted."""
        with self._lock:
            self.received += 1
            if not self._faults:
                return None
            fault, times = self._faults[0]
            if times == 1:
                self._faults.pop(0)
            elif times > 1:
                self._faults[0] = (fault, times - 1)
            return fault
