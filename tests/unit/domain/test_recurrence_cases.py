"""The table of recurrence cases: worked out by hand, and again by a brute-force second implementation.

A slip in the table is refused, so that no case is dropped or read as another one.
"""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.upcoming import upcoming
from tests.unit.domain.recurrence_cases import CASES, Case, read_cases


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


ROW = "cron | 0 9 * * 1 | UTC | max_runs=2 | 2024-01-01T00:00:00Z | 2024-01-01T09:00:00Z ... | Mondays"


def test_a_row_of_the_table_is_one_case() -> None:
    assert read_cases(f"# a group\n\n{ROW}\n") == [
        Case(
            name="Mondays",
            kind="cron",
            time_zone="UTC",
            after="2024-01-01T00:00:00Z",
            expected=["2024-01-01T09:00:00Z"],
            exhausted=False,
            expression="0 9 * * 1",
            max_runs=2,
        )
    ]


@pytest.mark.parametrize(
    ("part", "slip"),
    [
        ("max_runs=2", "most_runs=2"),
        ("max_runs=2", "max_runs=2 max_runs=3"),
        ("max_runs=2", "max_runs=two"),
        ("cron", "corn"),
        (" ...", ""),
        ("Mondays", "Mondays | and Tuesdays"),
        ("UTC | ", ""),
    ],
)
def test_a_row_with_a_slip_is_refused(part: str, slip: str) -> None:
    with pytest.raises(ValueError):
        read_cases(ROW.replace(part, slip))


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
