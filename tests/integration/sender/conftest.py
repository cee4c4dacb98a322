"""What the tests of a sender's parts share."""

from collections.abc import Iterator

import pytest

from mailroom.storage.database import Db
from tests.support.planning import Planning


@pytest.fixture
def planning(db: Db, monkeypatch: pytest.MonkeyPatch) -> Iterator[Planning]:
    """On a machine of any speed: what was composed ahead stays fresh, and what is yielded is yielded until a claim."""
    monkeypatch.setattr("mailroom.services.planning.composing._FRESH_S", 60.0)
    monkeypatch.setattr("sender.lane_turns._YIELD_S", 60.0)
    planning = Planning(db)
    yield planning
    planning.planner.end()
    planning.planner._ahead.shutdown()
