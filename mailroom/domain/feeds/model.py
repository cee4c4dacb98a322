"""A feed as a schedule names it, its content as it was fetched, and the copy that a run keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypedDict

from mailroom.domain.ids import RunId, ScheduleId

DEFAULT_TIMEOUT_S: Final = 20
DEFAULT_DEADLINE_S: Final = 3600

#: Plain data, as JSON has it.
Item = Mapping[str, object]


class WithoutFeed(StrEnum):
    """What becomes of a run that gets no items: there is nothing new, or the feed does not come in time."""

    SKIP = "skip"
    SEND = "send"


class FeedFields(TypedDict, total=False):
    """The requested feed; an absent field other than `url` has its default."""

    url: str
    headers: Mapping[str, str]
    timeout_s: int
    only_newer: bool
    when_empty: str
    deadline_s: int
    when_away: str


@dataclass(frozen=True, slots=True)
class Feed:
    """A checked feed. `headers`: names of headers, each with the name of the secret that is its value; the secret
    itself is a setting. `deadline_s`: for so long after the due instant a fetch that failed is repeated."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    timeout_s: int = DEFAULT_TIMEOUT_S
    only_newer: bool = True
    when_empty: WithoutFeed = WithoutFeed.SKIP
    deadline_s: int = DEFAULT_DEADLINE_S
    when_away: WithoutFeed = WithoutFeed.SKIP


@dataclass(frozen=True, slots=True)
class FeedContent:
    """What a feed said: its own fields, such as `title`, and its items, in its own order."""

    fields: Mapping[str, object]
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class KeptFeed:
    """The copy of a feed that a run keeps: what its template gets, however often the run is planned.

    `values`: the feed's own fields, and its `items`: those that are new, if the feed is so set. `found`: the number of
    items in the feed. `seen`: the keys of these and of earlier items, to tell what is new to a later run. `away`: why
    the run goes without the feed; '' otherwise.
    """

    run_id: RunId
    schedule_id: ScheduleId
    fetched_at: datetime
    url: str  # without its query
    values: Mapping[str, object]
    found: int
    seen: Sequence[str]
    away: str = ""

    @property
    def items(self) -> Sequence[Item]:
        items = self.values.get("items")
        return items if isinstance(items, list) else ()


def empty_values() -> dict[str, object]:
    """What a template gets of a feed that is not there."""
    return {"title": "", "link": "", "items": []}
