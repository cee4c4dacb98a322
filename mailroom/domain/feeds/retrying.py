"""When a fetch that failed is tried again, and when it is given up."""

from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.feeds.model import Feed
from mailroom.domain.runs import Run

_FIRST: Final = timedelta(seconds=5)
_LONGEST: Final = timedelta(minutes=5)


def next_try(run: Run, feed: Feed, *, tries: int, now: datetime) -> datetime | None:
    """When a run's feed is fetched again after the `tries`-th failed try; None if its deadline is over.

    The deadline counts from the due instant, or from the run's creation if that came later. The last try is at the
    deadline itself. Each run tries once at least.
    """
    deadline = max(run.starts_at, run.created_at) + timedelta(seconds=feed.deadline_s)
    if now >= deadline:
        return None
    wait = min(_FIRST * (1 << min(tries - 1, 10)), _LONGEST)
    return min(now + wait, deadline)
