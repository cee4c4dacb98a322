"""The table of recurrence cases: worked out by hand, and again by a brute-force second implementation."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.upcoming import upcoming
from tests.unit.domain.recurrence_cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_due_instants_are_those_of_the_table(case: Case) -> None:
    rule = check_recurrence(
        kind=case.kind,
        time_zone=case.time_zone,
        now=datetime(2022, 12, 1, tzinfo=UTC),
        expression=case.expression,
        at=datetime.fromisoformat(case.at) if case.at else None,
        seconds=case.seconds,
        starts_at=_instant(case.starts_at),
        ends_at=_instant(case.ends_at),
        max_runs=case.max_runs,
    )
    after = datetime.fromisoformat(case.after)
    # max_runs counts instants from the start on, so those before `after` are walked through as well.
    begin = min(after, rule.starts_at - timedelta(seconds=1)) if rule.starts_at and case.max_runs else after

    instants = (at for at in upcoming(rule, begin) if at > after)
    found = list(islice(instants, len(case.expected) + 1 if case.exhausted else len(case.expected)))

    assert [f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in found] == list(case.expected)


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
