"""Dispatches that a look saw, and that are not handed over yet.

A look at all that is due passes over the dead index entries of claimed dispatches (see `newly_due` in
mailroom/storage/dispatches/claims.py). So one look notes many dispatches, and the rounds after it read them by their
ids.
"""

from collections.abc import Collection, Iterator, Sequence

from mailroom.domain.dispatches.model import InQueue
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import DispatchId, Lane


class Backlog:
    """For one thread. It only says where to look: a dispatch that was noted may be pending no more."""

    def __init__(self) -> None:
        self._noted: list[InQueue] = []
        self._beyond = False

    def note(self, seen: Sequence[InQueue], *, beyond: bool) -> None:
        """These, the most urgent first, take the place of what was noted. `beyond`: others may be due after them."""
        self._noted, self._beyond = list(seen), beyond

    def forget(self) -> None:
        self._noted, self._beyond = [], False

    @property
    def used_up(self) -> bool:
        """True if others are due, and none of those that were noted is left."""
        return self._beyond and not self._noted

    @property
    def rank(self) -> Rank | None:
        """The rank of the first; None without any."""
        return self._noted[0].rank if self._noted else None

    def ids(self, *, leave_out: Collection[Lane] = ()) -> Iterator[DispatchId]:
        """The ids of what is noted at this moment, the most urgent first, without the lanes of `leave_out`. A `drop`
        meanwhile changes nothing of it."""
        noted = self._noted
        return (one.id for one in noted if one.lane not in leave_out)

    def lanes_among(self, lanes: Collection[Lane]) -> set[Lane]:
        """The lanes among these of which something is noted."""
        return {one.lane for one in self._noted if one.lane in lanes} if lanes else set()

    def drop(self, ids: Collection[DispatchId]) -> None:
        """Note these no more. Ids that were not noted change nothing."""
        if ids and self._noted:
            gone = frozenset(ids)
            self._noted = [one for one in self._noted if one.id not in gone]
