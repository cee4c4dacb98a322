"""What contacts did with earlier mail: which of them opened, clicked or got one of the last runs to an audience."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time

from mailroom.domain.ids import AudienceId, RunId
from mailroom.domain.limits import MAX_FILTER_DAY_RUNS, MAX_FILTER_RUNS
from mailroom.domain.segments.matching import first_day
from mailroom.storage.database import Db
from mailroom.storage.messages import people
from mailroom.storage.messages.people import Signs
from mailroom.storage.schedules import run_lists

Asked = Collection[tuple[str, int]]


def addresses_that(
    db: Db, audience: AudienceId, asked: Asked, keys: Sequence[str], *, before: datetime
) -> Mapping[tuple[str, int], Collection[str]]:
    """For each event and number of runs that is asked for: the folded addresses among these of which one of the last so
    many runs to the audience tells the event. Runs that were due before `before` count; resends and skipped runs do
    not."""
    if not asked or not keys:
        return dict.fromkeys(asked, frozenset())
    runs = run_lists.latest_to(db, audience, before=before, limit=max(number for _, number in asked))
    told = list(_signs(db, keys, runs))
    return {
        (event, number): {sign.key for sign in told if sign.run_id in runs[:number] and sign.tells(event)}
        for event, number in asked
    }


def addresses_that_lately(
    db: Db, audience: AudienceId, asked: Asked, keys: Sequence[str], *, before: datetime
) -> Mapping[tuple[str, int], Collection[str]]:
    """As `addresses_that`, for each event and number of days: by the runs that were due in these days, the day of
    `before` included. Of more than MAX_FILTER_DAY_RUNS runs the latest count."""
    if not asked or not keys:
        return dict.fromkeys(asked, frozenset())
    first = {days: datetime.combine(first_day(before, days), time(), UTC) for _, days in asked}
    runs = run_lists.lately_to(db, audience, since=min(first.values()), before=before, limit=MAX_FILTER_DAY_RUNS)
    told = list(_signs(db, keys, list(runs)))
    return {
        (event, days): {sign.key for sign in told if runs[sign.run_id] >= first[days] and sign.tells(event)}
        for event, days in asked
    }


def _signs(db: Db, keys: Sequence[str], runs: Sequence[RunId]) -> Iterator[Signs]:
    """What is known of the messages to these addresses, asked for some runs at a time: a question holds an id for each
    message."""
    for start in range(0, len(runs), MAX_FILTER_RUNS):
        yield from people.signs(db, keys, of=runs[start : start + MAX_FILTER_RUNS])
