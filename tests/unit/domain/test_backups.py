"""What the providers' logs can tell after a restore of all stores."""

from datetime import UTC, datetime, timedelta

import pytest

from mailroom.domain.backups import why_logs_cannot_tell
from mailroom.domain.dispatches.doubts import Timing

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
TIMING = Timing(timedelta(seconds=60), timedelta(seconds=600), timedelta(minutes=30), timedelta(hours=24))


@pytest.mark.parametrize(
    ("copied_ago", "lost_ago", "why"),
    [
        (timedelta(hours=23), timedelta(hours=1), None),
        (timedelta(hours=25), timedelta(hours=1), "do not go back to the copy of 2026-11-29 11:00 UTC"),
        (timedelta(hours=23), timedelta(minutes=41), None),
        (timedelta(hours=23), timedelta(minutes=40), "complete only from 2026-11-30 12:01:00 UTC on"),
        (None, timedelta(hours=1), None),
    ],
)
def test_a_log_tells_what_was_accepted_if_it_goes_back_far_enough_and_is_complete(
    copied_ago: timedelta | None, lost_ago: timedelta, why: str | None
) -> None:
    copied_at = NOW - copied_ago if copied_ago else None

    found = why_logs_cannot_tell(copied_at, NOW - lost_ago, TIMING, now=NOW)

    assert (found is None) if why is None else (found and found.endswith(why))
