"""What the driver knows of a contact, from when on: what it may be.

Between a request and its answer nobody knows which of two it is, nor after a restore what was changed since the copy.
"""

import time
from bisect import bisect_right
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Final

OUT: Final = "out"  # not in the audience
IN: Final = "in"


@dataclass(slots=True)
class History:
    """Each entry has what the contact may be from its moment on. In the beginning it is OUT."""

    since: list[float] = field(default_factory=lambda: [0.0])
    may: list[Set[str]] = field(default_factory=lambda: [frozenset([OUT])])

    @property
    def newest(self) -> Set[str]:
        return self.may[-1]

    def asked(self, wanted: str) -> None:
        """A change to this was asked for, and may happen from now on."""
        self._add(self.newest | {wanted})

    def answered(self, wanted: str) -> None:
        """The change was made."""
        self._add(frozenset([wanted]))

    def at(self, moment: float) -> Set[str]:
        return self.may[self._place(moment)]

    def between(self, first: float, last: float) -> Set[str]:
        """What it may have been at some moment from the first to the last."""
        return frozenset().union(*self.may[self._place(first) : self._place(last) + 1])

    def doubt_from(self, moment: float) -> None:
        """What was said since then may be lost, and may have counted until it was."""
        place = self._place(moment)
        for later in range(place + 1, len(self.may)):
            self.may[later] = self.may[later] | self.may[later - 1]

    def _place(self, moment: float) -> int:
        return bisect_right(self.since, moment) - 1

    def _add(self, may: Set[str]) -> None:
        self.since.append(time.time())
        self.may.append(may)
