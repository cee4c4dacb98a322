"""Token buckets on a real Redis, and the limits that people set."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from redis import Redis

from mailroom.coordination.rate_buckets import Rates
from mailroom.domain.rate_queue import QueueClass, Wanted
from mailroom.domain.rates import Rate
from tests.support.caller import Caller
from tests.support.system import System

TEN_A_SECOND = Rate(10.0, 5)
B = "provider/mailgun"


@pytest.fixture
def rates(system: System) -> Iterator[Rates]:
    made = Rates(system.settings.stores.redis_url, of=system.db.name)
    yield made
    made.close()


def pretend_earlier(system: System, bucket: str, *, by_s: float, fields: tuple[str, ...] = ("at",)) -> None:
    """As if so much time had gone by since."""
    redis: Redis = Redis.from_url(system.settings.stores.redis_url)
    key = f"mailroom:rate:{system.db.name}:{bucket}"
    for field in fields:
        redis.hset(key, field, str(float(redis.hget(key, field) or time.time() * 1000) - by_s * 1000))  # type: ignore[arg-type]
    redis.close()


def test_calls_go_as_long_as_there_are_mails_for_them_and_a_large_one_leaves_a_debt(
    system: System, rates: Rates
) -> None:
    assert rates.take(B, TEN_A_SECOND, [(2, False), (2, False), (10, False), (1, False)]) == 3
    assert rates.take(B, TEN_A_SECOND, [(1, False)]) == 0

    pretend_earlier(system, B, by_s=0.9)
    assert rates.take(B, TEN_A_SECOND, [(1, False)]) == 0
    pretend_earlier(system, B, by_s=0.3)
    assert rates.take(B, TEN_A_SECOND, [(1, False)] * 10) in (2, 3)


def test_what_is_urgent_goes_at_once_and_pays(system: System, rates: Rates) -> None:
    assert rates.take(B, TEN_A_SECOND, [(5, False)]) == 1

    assert rates.take(B, TEN_A_SECOND, [(1, True), (1, True), (1, False)]) == 2
    pretend_earlier(system, B, by_s=0.2)
    assert rates.take(B, TEN_A_SECOND, [(1, False)]) == 0


def test_two_senders_that_take_at_once_share_one_bucket(rates: Rates, system: System) -> None:
    other = Rates(system.settings.stores.redis_url, of=system.db.name)

    assert rates.take(B, TEN_A_SECOND, [(1, False)] * 9) + other.take(B, TEN_A_SECOND, [(1, False)] * 9) == 5
    other.close()


def test_a_complaint_halves_the_rate_once_and_stops_everything_for_as_long_as_it_says(
    system: System, rates: Rates
) -> None:
    assert rates.lower(B, timedelta(seconds=30)) == 0.5
    assert rates.lower(B, None) == 0.5  # the answer to another call of the same moment

    assert rates.take(B, TEN_A_SECOND, [(1, True)]) == 0
    assert rates.look([B])[B].paused_until
    pretend_earlier(system, B, by_s=31, fields=("paused_until", "at", "halved_at"))
    assert rates.take(B, TEN_A_SECOND, [(5, False), (1, False)]) == 1
    pretend_earlier(system, B, by_s=0.3)
    assert rates.take(B, TEN_A_SECOND, [(1, False)] * 5) in (1, 2)  # five a second now
    assert rates.lower(B, None) == 0.25


def test_a_lowered_rate_is_doubled_for_each_minute_without_a_complaint(system: System, rates: Rates) -> None:
    rates.lower(B, None)
    pretend_earlier(system, B, by_s=10, fields=("halved_at",))
    rates.lower(B, None)

    pretend_earlier(system, B, by_s=61, fields=("lowered_at",))
    rates.take(B, TEN_A_SECOND, [])
    assert rates.look([B])[B].factor == 0.5
    pretend_earlier(system, B, by_s=600, fields=("lowered_at",))
    rates.take(B, TEN_A_SECOND, [])
    assert rates.look([B])[B].factor == 1


SLOW, FAST = "domain/slow.example", "domain/fast.example"
LIMITS = {SLOW: Rate(10.0, 1), FAST: Rate(1000.0, 100)}
NEW, URGENT, BACK = Wanted({SLOW: 1}), Wanted({SLOW: 1}, QueueClass.NONE), Wanted({SLOW: 1}, returns=True)


def seconds(waits: list[timedelta | None]) -> list[float]:
    return [wait.total_seconds() if wait else 0.0 for wait in waits]


def test_what_a_domain_holds_back_gets_times_of_its_own_and_nobody_else_waits(rates: Rates) -> None:
    waits = seconds(rates.hold(LIMITS, [NEW, NEW, Wanted({FAST: 1}), NEW, URGENT, NEW]))

    assert (waits[0], waits[2], waits[4]) == (0, 0, 0)
    told = [waits[1], waits[3], waits[5]]
    assert told == pytest.approx([0.1, 0.2, 0.4], abs=0.15)
    assert told == sorted(set(told))


def test_a_mail_that_was_held_back_goes_before_a_new_one(system: System, rates: Rates) -> None:
    rates.hold(LIMITS, [NEW] * 30)
    pretend_earlier(system, SLOW, by_s=0.11)

    newcomer, returning, another = seconds(rates.hold(LIMITS, [NEW, BACK, BACK]))

    assert returning == 0
    assert 0 < another <= 0.2
    assert newcomer > 2


def test_no_wait_is_longer_than_ten_minutes(rates: Rates) -> None:
    few = {SLOW: Rate(50 / 86_400, 5)}

    waits = seconds(rates.hold(few, [NEW] * 5_000))

    assert waits[:5] == [0] * 5
    assert max(waits) == 600


def test_a_line_in_which_nobody_stands_any_more_holds_up_nobody(system: System, rates: Rates) -> None:
    """They were cancelled, or went by another way: none of them comes back."""
    slow = {SLOW: Rate(1.0, 1)}
    rates.hold(slow, [NEW] * 500)
    pretend_earlier(system, SLOW, by_s=4)
    still = seconds(rates.hold(slow, [NEW]))
    pretend_earlier(system, SLOW, by_s=4)

    now_and_then = seconds(rates.hold(slow, [NEW, NEW]))

    assert still[0] > 400
    assert now_and_then == pytest.approx([0, 1], abs=0.2)


def test_a_single_mail_does_not_stand_in_line_behind_a_campaign(system: System, rates: Rates) -> None:
    rates.hold(LIMITS, [NEW] * 1_000)
    pretend_earlier(system, SLOW, by_s=0.11)

    first, second = seconds(rates.hold(LIMITS, [Wanted({SLOW: 1}, QueueClass.MAILS)] * 2))

    assert first == 0
    assert second < 1


def test_what_was_paid_for_and_does_not_go_is_given_back(rates: Rates) -> None:
    assert rates.take(B, TEN_A_SECOND, [(5, False)]) == 1
    assert rates.take(B, TEN_A_SECOND, [(1, False)]) == 0

    rates.give_back(B, 4)

    assert rates.take(B, TEN_A_SECOND, [(1, False)] * 9) in (4, 5)


def test_a_limit_is_set_shown_and_removed(call: Caller) -> None:
    body = {"mails": 1000, "per": "day", "warm_up": [50, 100]}

    assert call("PUT", "/v1/rate-limits/domain/Example.org", json=body).status_code == 200
    assert call("PUT", "/v1/rate-limits/provider/mailgun", json={"mails": 5, "per": "second"}).status_code == 200

    first, second = call("GET", "/v1/rate-limits").json["items"]
    assert (first["kind"], first["name"], first["mails_now"], first["factor"]) == ("domain", "example.org", 50, 1.0)
    assert (second["name"], second["mails_now"]) == ("mailgun", 5)
    again = call("PUT", "/v1/rate-limits/domain/example.org", json=body | {"mails": 2000}).json
    assert (again["began_at"], again["mails"]) == (first["began_at"], 2000)
    assert call("DELETE", "/v1/rate-limits/domain/example.org").status_code == 204
    assert call("DELETE", "/v1/rate-limits/domain/example.org").status_code == 404
    assert [one["name"] for one in call("GET", "/v1/rate-limits").json["items"]] == ["mailgun"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("domain/example.org", {"mails": 0, "per": "day"}, 422),
        ("domain/example.org", {"mails": 1}, 422),
        ("domain/nonsense", {"mails": 1, "per": "day"}, 422),
        ("domain/example.org", {"mails": 1, "per": "day", "warm_up": [1.5]}, 422),
        ("provider/pigeon", {"mails": 1, "per": "day"}, 404),
        ("planet/mars", {"mails": 1, "per": "day"}, 404),
    ],
)
def test_what_is_no_limit_is_refused(call: Caller, path: str, body: object, status: int) -> None:
    assert call("PUT", f"/v1/rate-limits/{path}", json=body).status_code == status
    assert call("GET", "/v1/rate-limits").json["items"] == []
