"""How a run that is divided into slices is planned: in windows of contacts, and within a window slice by slice.

Contacts are read in the order of their addresses, in which the slices are mixed. A window is as many of them as a
sender holds in memory at once: sorted by slice they fill whole calls. The order (window, slice, address) follows from
the list and the division alone, so a run that is planned again puts everybody into the same place.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

WINDOW: Final = 50_000  # contacts
WINDOW_CHARACTERS: Final = 20_000_000  # of their merge fields
_BETWEEN: Final = "\n"  # is in no address


@dataclass(frozen=True, slots=True)
class SlicePlace:
    """How far planning has come. `after`: the folded address up to which all windows are through; `through`: the one
    with which the window in hand ends, '' before it is chosen; `slice` and `key`: the last recipient that is planned
    in it.

    The end of a window is kept: a filter by events may find others when the window is read again.
    """

    after: str = ""
    through: str = ""
    slice: str = ""
    key: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        return cls(*text.split(_BETWEEN)) if text else cls()

    def __str__(self) -> str:
        return _BETWEEN.join((self.after, self.through, self.slice, self.key))

    def at(self, slice_: str, key: str) -> "SlicePlace":
        """The place of this recipient in the window in hand."""
        return SlicePlace(self.after, self.through, slice_, key)

    @property
    def behind(self) -> "SlicePlace":
        """The place behind the window in hand."""
        return SlicePlace(after=self.through)


def left_of(order: Sequence[tuple[str, str]], place: SlicePlace) -> Sequence[tuple[str, str]]:
    """Those that are not planned yet of a window, given by slice and key in the order of planning."""
    return order[bisect_right(order, (place.slice, place.key)) :]


def whole_batches(slices: Sequence[object], batch_size: int, *, goes_on: bool) -> int:
    """How many of these next recipients, each given by its slice, fill whole batches; at least those of one batch.
    `goes_on`: the last slice has further recipients in the window."""
    if not goes_on or not slices:
        return len(slices)
    left = (len(slices) - slices.index(slices[-1])) % batch_size
    return len(slices) - left or len(slices)
