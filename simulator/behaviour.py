"""How the simulator is to behave: knobs that stay, and faults that happen a number of times.

Both are set over HTTP (`/simulator/behaviour`, `/simulator/faults`) and live only as long as the process.
"""

import threading
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Final


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


_MOST: Final = 1_000_000  # seconds, or calls


@dataclass(frozen=True, slots=True)
class Knobs:
    latency_s: float = 0.0  # before each answer to a send
    delivery_s: float = 0.2  # from acceptance to `delivered`
    event_lag_s: float = 0.0  # from an event to its being visible in the log
    log_status: int = 200  # any other: the log answers with this error
    log_lies_empty: bool = False
    suppressions_status: int = 200  # any other: the lists of suppressions answer with this error
    hang_s: float = 30.0
    idle_limit_s: float = 600.0  # an idle connection is closed after this
    duplicate_webhooks: bool = False
    shuffle_webhooks: bool = False
    new_token_on_retry: bool = False
    webhook_retry_scale: float = 1.0  # of Mailgun's 5, 10, 15 minutes, 1, 2, 4 hours
    refused_addresses: list[str] = field(default_factory=list)


_USUAL: Final = asdict(Knobs())


def _checked(name: str, value: Any) -> Any:
    """By the kind of the knob's default: a whole number that stands there now does not make it a whole one."""
    usual = _USUAL.get(name)
    match usual:
        case bool():
            fits = type(value) is bool
        case int():
            fits = type(value) is int and (value == 200 or 400 <= value <= 599)
        case float():
            fits = type(value) in (int, float) and 0 <= value <= _MOST
            value = float(value) if fits else value
        case list():
            fits = type(value) is list and all(type(one) is str for one in value)
        case _:
            fits = False
    if not fits:
        raise ValueError(f"there is no knob '{name}' that takes {value!r}")
    return value


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
        """Change knobs by name, all of them or none. Raises ValueError for one that does not exist or takes no such
        value."""
        checked = {name: _checked(name, value) for name, value in changes.items()}
        with self._lock:
            self._knobs = replace(self._knobs, **checked)
            return self._knobs

    def add_fault(self, fault: Fault, times: int) -> None:
        """The next `times` calls fail so; 0: all of them, until cleared. Those that are counted go before those that
        stand. Raises ValueError."""
        if type(times) is not int or not 0 <= times <= _MOST:
            raise ValueError(f"'times' takes 0 to {_MOST}, not {times!r}")
        with self._lock:
            self._faults.append((fault, times))
            self._faults.sort(key=lambda one: one[1] == 0)

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
