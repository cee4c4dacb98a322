"""Versions of an audience: what a run goes to, whatever is changed while it is planned.

Each change of an audience has its moment, and no two changes of one audience have the same. A contact's data holds from
one version to another. So an audience *as of* a version never changes, as a list of recipients that nobody can edit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mailroom.domain.ids import AudienceId, SegmentId, short_digest

_STEP: Final = timedelta(milliseconds=1)  # MongoDB keeps no finer times
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ListChoice:
    """Who a schedule goes to: an audience, or of it those whom the filter `only` of `segment` finds."""

    audience: AudienceId
    segment: SegmentId | None = None
    only: str = ""

    def as_of(self, at: datetime | None) -> "AudienceVersion":
        return AudienceVersion(self.audience, at, self.only)


def all_of(lists: tuple[ListChoice, ...], audience: AudienceId) -> tuple[ListChoice, ...]:
    """These lists; without any, the whole audience, as contents are stored that go to one."""
    return lists or (ListChoice(audience),)


@dataclass(frozen=True, slots=True)
class AudienceVersion:
    """An audience as of a change, or of it those whom the filter `only` finds. `at`: the moment of the change; None: as
    the audience was made."""

    audience: AudienceId
    at: datetime | None = None
    only: str = ""

    @property
    def name(self) -> str:
        """The name of this list, which holds the same contacts for good. Spans of dispatches name it."""
        whole = f"{self.audience}~{(self.at - _EPOCH) // _STEP}" if self.at else str(self.audience)
        return f"{whole}+{short_digest(self.only)}" if self.only else whole


@dataclass(frozen=True, slots=True)
class Selection:
    """Who a run goes to: everybody in `lists`, an address with the data of the first list that holds it; and nobody in
    `excluded`."""

    lists: tuple[AudienceVersion, ...]
    excluded: tuple[AudienceVersion, ...] = ()

    @property
    def is_composed(self) -> bool:
        """True unless it is one whole audience."""
        return len(self.lists) > 1 or bool(self.excluded) or bool(self.lists[0].only)

    @property
    def name(self) -> str:
        """As of `AudienceVersion`: equal names are equal people, in the same order."""
        if len(self.lists) == 1 and not self.excluded:
            return self.lists[0].name
        return f"sel_{short_digest(*_names(self.lists), '', *_names(self.excluded))}"


def next_version(latest: datetime | None, *, now: datetime) -> datetime:
    """The moment of a change that follows `latest`: now, or just after it where the clock is behind."""
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    return now if latest is None or now > latest else latest + _STEP


def _names(lists: Sequence[AudienceVersion]) -> list[str]:
    return [one.name for one in lists]
