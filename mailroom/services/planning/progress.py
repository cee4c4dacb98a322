"""What a step of planning did; and how it stores several schedules, so that none delays another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

import structlog

from mailroom.domain.errors import StaleToken, StoreRestored, Unavailable
from mailroom.domain.ids import ScheduleId

log = structlog.get_logger()


class ChangedSinceRead(Exception):
    """A document has changed since it was read: the transaction is aborted, and the next step reads again."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`moved`: schedules that moved on. `broken`: schedules that failed by a fault of their own. `left`: something was
    found that did not get its turn, or that a next step goes on with."""

    moved: frozenset[ScheduleId] = frozenset()
    broken: frozenset[ScheduleId] = frozenset()
    left: bool = False

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(self.moved | other.moved, self.broken | other.broken, self.left or other.left)


T = TypeVar("T")


def all_or_each(items: Sequence[tuple[ScheduleId, T]], store: Callable[[Sequence[T]], None]) -> Progress:
    """Store all items in one transaction. If it fails, store each in its own, so that no schedule delays another.

    Raises StaleToken, StoreRestored, Unavailable.
    """
    if not items:
        return Progress()
    try:
        store([item for _, item in items])
    except (StaleToken, StoreRestored, Unavailable):
        raise
    except ChangedSinceRead:
        if len(items) == 1:
            return Progress()  # edited or cancelled since it was read: the next step reads it again
    except Exception:
        if len(items) == 1:
            log.exception("schedule_cannot_be_planned", schedule_id=items[0][0])
            return Progress(broken=frozenset({items[0][0]}))
    else:
        return Progress(moved=frozenset(id_ for id_, _ in items))
    return reduce(Progress.__add__, (all_or_each([item], store) for item in items))
