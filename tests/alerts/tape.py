"""The scrapes of one story, in the order in which its causes were made."""

import time
from collections.abc import Callable
from typing import Final

from tests.support.recorded_series import Recording, Scrape, scrape

_LOOK_S: Final = 0.3


class Tape:
    """`targets`: the URL of each process that is scraped, by its instance. A story may add to them."""

    def __init__(self, targets: dict[str, str]) -> None:
        self.targets = targets
        self.recordings: dict[str, Recording] = {}
        self._first = self._well = self._last = self.look()

    def look(self) -> Scrape:
        return scrape(self.targets)

    def well(self, until: Callable[[Scrape], bool]) -> None:
        """What was done since the first scrape is what the well system does in a minute."""
        self._well = self._last = self._seen(until)

    def around(self, until: Callable[[Scrape], bool] = lambda _: True) -> None:
        """What was done since the last scrape is no cause's doing."""
        self._last = self._seen(until)

    def record(self, *alerts: str, until: Callable[[Scrape], bool], grows: bool = False) -> Scrape:
        """The cause of these alerts was made: scrape as soon as `until` is true of what is shown, and once more where
        something `grows` with time."""
        after, later = self._seen(until), None
        if grows:
            time.sleep(1)
            later = self.look()
        self.recordings |= {alert: Recording(self._first, self._well, self._last, after, later) for alert in alerts}
        self._last = after
        return after

    def _seen(self, until: Callable[[Scrape], bool], within_s: float = 60) -> Scrape:
        deadline = time.monotonic() + within_s
        while not until(seen := self.look()):
            shown = "\n".join(f"{name} {value:g}" for name, value in seen.values.items() if "_bucket" not in name)
            assert time.monotonic() < deadline, f"not shown within {within_s:.0f} s; it shows\n{shown}"
            time.sleep(_LOOK_S)
        return seen
