"""The next recipients of a run that is planned in slices: window by window, and within a window slice by slice.

The window in hand stays in memory between two chunks; who takes over reads it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailroom.domain.audiences import Recipient
from mailroom.domain.ids import RunId
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.recipient_times import RecipientTime, slice_name
from mailroom.domain.runs import Run
from mailroom.domain.slice_places import WINDOW, WINDOW_CHARACTERS, SlicePlace, left_of
from mailroom.services.audiences.selecting import next_of
from mailroom.storage.database import Db

_KEPT: Final = 2  # windows: of so many large runs the chunks may alternate


@dataclass(frozen=True, slots=True)
class SlicePage:
    """The next recipients of a run, in the order of planning, each with its place. `through`: the place up to which
    everybody is planned with them; `goes_on`: their last slice has more of the window; `more`: anybody is left."""

    recipients: Sequence[tuple[SlicePlace, Recipient]]
    through: SlicePlace
    goes_on: bool
    more: bool


@dataclass(frozen=True, slots=True)
class _Window:
    """The recipients after `place.after`, up to `place.through`. `order`: by slice and address, as they are planned.
    `is_last`: nobody comes after them."""

    place: SlicePlace
    by_key: Mapping[str, Recipient]
    order: Sequence[tuple[str, str]]
    is_last: bool

    def has(self, place: SlicePlace) -> bool:
        """True if planning of its run goes on in this window."""
        through = place.through or self.place.through
        return (self.place.after, self.place.through) == (place.after, through)


@dataclass(slots=True)
class Windows:
    """Reads the windows of runs, and keeps the last two that have recipients left. A small run, which one page empties,
    does not take the place of a large run's window. For one thread."""

    db: Db
    _kept: dict[RunId, _Window] = field(default_factory=dict)

    def next_page(self, run: Run, own: RecipientTime) -> SlicePage:
        """Raises Unavailable."""
        place = SlicePlace.read(run.planned_through)
        kept = self._kept.pop(run.id, None)
        window = kept if kept and kept.has(place) else self._read(run, own, place)
        page = _page(window, place)
        if page.through != window.place.behind:
            self._kept[run.id] = window
            if len(self._kept) > _KEPT:
                del self._kept[next(iter(self._kept))]
        return page

    def _read(self, run: Run, own: RecipientTime, place: SlicePlace) -> _Window:
        """The window in hand, as far as it went when it was chosen; or the next one."""
        found: list[Recipient] = []
        after, characters, looked_at, more = place.after, 0, 0, True
        while more and _goes_on(place, after, looked_at, characters):
            step = next_of(self.db, run.goes_to, after=after, at=run.due_at)
            found += step.recipients
            after, more = step.through, step.more
            looked_at += step.looked_at
            characters += sum(map(_characters, step.recipients))
        if place.through:
            more, after = more or after > place.through, place.through
            found = [one for one in found if one.key <= place.through]
        order = sorted((slice_name(own.slice_of(one.time_zone)), one.key) for one in found)
        return _Window(SlicePlace(place.after, after), {one.key: one for one in found}, order, not more)


def _goes_on(place: SlicePlace, after: str, looked_at: int, characters: int) -> bool:
    """True if the window does not end yet."""
    return after < place.through if place.through else looked_at < WINDOW and characters < WINDOW_CHARACTERS


def _page(window: _Window, place: SlicePlace) -> SlicePage:
    left = left_of(window.order, place)
    chosen, rest = left[:CHUNK_RECIPIENTS], left[CHUNK_RECIPIENTS:]
    recipients = [(window.place.at(slice_, key), window.by_key[key]) for slice_, key in chosen]
    through = recipients[-1][0] if rest else window.place.behind
    goes_on = bool(rest) and rest[0][0] == chosen[-1][0]
    return SlicePage(recipients, through, goes_on, bool(rest) or not window.is_last)


def _characters(recipient: Recipient) -> int:
    return sum(len(str(value)) for value in recipient.variables.values())
