"""How fast mail may go: spans, what may go at once, and warm-up day by day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.errors import InvalidInput
from mailroom.domain.rates import Rate, check_limit

BEGAN = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def a_limit(**changes: Any) -> Any:
    return check_limit("domain", "example.org", {"mails": 1000, "per": "day"} | changes, now=BEGAN)


@pytest.mark.parametrize(
    ("mails", "per", "expected"),
    [
        (5, "second", Rate(5.0, 1)),
        (600, "minute", Rate(10.0, 60)),
        (3600, "hour", Rate(1.0, 360)),
        (1, "day", Rate(1 / 86_400, 1)),
    ],
)
def test_a_span_is_a_pace_and_a_tenth_of_it_may_go_at_once(mails: int, per: str, expected: Rate) -> None:
    assert a_limit(mails=mails, per=per).rate_at(BEGAN) == expected


def test_a_warm_up_has_a_step_for_each_day_and_then_the_limit_itself() -> None:
    limit = a_limit(warm_up=[50, 100, 400])

    days = [limit.mails_at(BEGAN + timedelta(days=n)) for n in (-1, 0, 0.99, 1, 2, 2.99, 3, 400)]

    assert days == [50, 50, 50, 100, 400, 400, 1000, 1000]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"mails": 0}, "mails"),
        ({"mails": True}, "mails"),
        ({"mails": "many"}, "mails"),
        ({"mails": 10**9}, "mails"),
        ({"per": "year"}, "per"),
        ({"warm_up": [0]}, "warm_up"),
        ({"warm_up": "50"}, "warm_up"),
        ({"warm_up": [1] * 91}, "warm_up"),
    ],
)
def test_what_is_no_limit_is_refused_with_its_field(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        a_limit(**changes)

    assert [fault.path for fault in refused.value.faults] == [path]


def test_a_domain_is_stored_as_addresses_have_it_and_what_is_none_is_refused() -> None:
    draft = {"mails": 1, "per": "day"}

    assert check_limit("domain", " Bücher.Example ", draft, now=BEGAN).id == "domain/xn--bcher-kva.example"
    for name in ("", "localhost", "a@example.org", "exa mple.org"):
        with pytest.raises(InvalidInput):
            check_limit("domain", name, draft, now=BEGAN)
