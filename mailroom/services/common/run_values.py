"""What templates get of a run itself: its own copy of its feed, never the feed as it is by now."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from mailroom.domain.ids import RunId
from mailroom.domain.run_values import FEED, RunValues
from mailroom.domain.schedules import Content
from mailroom.storage.database import Db
from mailroom.storage.schedules import run_feeds

_MOST: Final = 8  # runs whose values stay in memory: each is of some megabytes at most


class ValuesOfRuns:
    """Reads the values of runs, and keeps those used last: a copy never changes. For one thread."""

    def __init__(self, db: Db) -> None:
        self._db = db
        self._kept: OrderedDict[RunId, RunValues] = OrderedDict()

    def of(self, contents: Mapping[RunId, Content]) -> dict[RunId, RunValues]:
        """The values of the runs whose content has a feed. None of a run without a copy: it was cancelled before its
        feed came. Raises Unavailable."""
        wanted = [run_id for run_id, content in contents.items() if content.feed]
        if new := [run_id for run_id in wanted if run_id not in self._kept]:
            for run_id, feed in run_feeds.get_many(self._db, new).items():
                self._kept[run_id] = RunValues.of({FEED: dict(feed.values)})
        found = {run_id: self._kept[run_id] for run_id in wanted if run_id in self._kept}
        for run_id in found:
            self._kept.move_to_end(run_id)
        while len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return found
