"""Whatever the rule, an answer costs little: it is there at once, or the rule is refused with its reason."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from mailroom.domain.errors import InvalidInput
from mailroom.domain.recurrence import parts
from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.model import Recurrence
from mailroom.domain.recurrence.upcoming import next_occurrences

NOW = datetime(2026, 11, 29, 22, 30, tzinfo=UTC)
MOST_S = 0.5  # of CPU, on a loaded machine; each takes some 50 ms at most on an idle one, and took 15 s once
WEEK = "MO,TU,WE,TH,FR,SA,SU"
HOURS = ",".join(map(str, range(24)))
MINUTES = ",".join(map(str, range(60)))
FIVES = ",".join(map(str, range(0, 60, 5)))
POSITIONS = ",".join(map(str, range(1, 100)))
EVERY_MINUTE = f"BYDAY={WEEK};BYHOUR={HOURS};BYMINUTE={MINUTES};BYSECOND=0"
DENSE = f"BYDAY={WEEK};BYHOUR={HOURS};BYMINUTE={FIVES}"


def rules() -> Iterator[str]:
    for frequency in parts.FREQUENCIES:
        for rest in (
            EVERY_MINUTE,
            DENSE,
            f"{DENSE};BYSETPOS=366",
            f"{DENSE};BYSETPOS={POSITIONS}",
            f"{DENSE};COUNT=100000",
            f"{DENSE};BYSETPOS=-1;COUNT=100000",
            f"{DENSE};INTERVAL=100000",
            "INTERVAL=100000",
            "COUNT=100000",
            "BYDAY=MO;INTERVAL=99991;COUNT=100000",
            "BYMONTH=2;BYMONTHDAY=30",
            "BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;BYHOUR=3",
            f"BYDAY={WEEK};BYSETPOS=366",
            "BYHOUR=0;BYMINUTE=1;INTERVAL=2",
            "BYHOUR=0;BYMINUTE=1;BYDAY=MO;INTERVAL=1439",
            "BYMONTHDAY=31;BYSETPOS=2",
            "UNTIL=22001231",
        ):
            yield f"FREQ={frequency};{rest}"


@pytest.mark.parametrize("starts_at", [None, datetime(1970, 1, 1)])
def test_no_rule_costs_more_than_a_moment(starts_at: datetime | None) -> None:
    for expression in rules():
        assert seconds_of(kind="rrule", expression=expression, starts_at=starts_at) < MOST_S, expression


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "every", "seconds": 1, "starts_at": datetime(1970, 1, 1)},
        {"kind": "every", "seconds": 1, "ends_at": datetime(2200, 1, 1), "max_runs": 1_000_000},
        {"kind": "cron", "expression": "* * * * *", "starts_at": datetime(1970, 1, 1)},
        {"kind": "cron", "expression": "0 0 29 2 MON#5", "starts_at": datetime(1970, 1, 1)},
        {"kind": "cron", "expression": "59 23 31 12 *", "starts_at": datetime(1970, 1, 1)},
        {"kind": "cron", "expression": "0 0 */31 2 MON#5"},
        {"kind": "cron", "expression": "0 0 30,31 2,4 *"},
        {"kind": "cron", "expression": "0 0 * 2 1#5"},
    ],
    ids=lambda fields: fields.get("expression", "every"),
)
def test_no_other_recurrence_costs_more_than_a_moment(fields: dict[str, Any]) -> None:
    assert seconds_of(**fields) < MOST_S


def seconds_of(**fields: Any) -> float:
    """What checking it and asking for a hundred instants costs."""
    began = time.process_time()
    try:
        rule: Recurrence = check_recurrence(**fields, time_zone="Europe/Berlin", now=NOW)
        next_occurrences(rule, NOW, 100)
    except InvalidInput:
        pass
    return time.process_time() - began


@pytest.mark.parametrize("frequency", ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
def test_a_calendar_rule_that_names_every_minute_is_refused_with_what_to_write(frequency: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_recurrence(
            kind="rrule",
            expression=f"FREQ={frequency};{EVERY_MINUTE}",
            time_zone="UTC",
            starts_at=datetime(1970, 1, 1),
            now=NOW,
        )

    (fault,) = refused.value.faults
    assert fault.path == "recurrence.expression"
    assert "1,440 times of a day, at most 288" in fault.message
