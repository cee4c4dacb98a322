"""When a provider counts as slow: by what its calls take, beside those of the others."""

import pytest

from mailroom.domain.slowness import LEAST_CALLS, Slower, Speed, TimedCall, after_call, quantile, sample_is_due, slower

NOW = 1_000.0


def speed(*took_s: float, ended_at: float = NOW) -> Speed:
    return Speed(tuple(TimedCall(ended_at, each) for each in took_s))


def steady(took_s: float) -> Speed:
    return speed(*[took_s] * LEAST_CALLS)


def resting(until: float, *, rest_s: float = 30.0) -> Speed:
    return Speed(rests_until=until, rest_s=rest_s)


@pytest.mark.parametrize(
    ("durations", "expected"), [([3.0], 3.0), ([1.0, 2.0, 3.0, 4.0], 3.0), ([9.0, 1.0, 1.0, 1.0, 1.0], 1.0)]
)
def test_a_quarter_of_the_calls_may_take_longer_than_the_quantile(durations: list[float], expected: float) -> None:
    assert quantile(durations) == expected


@pytest.mark.parametrize(
    ("own", "other", "is_slow"),
    [
        (6.0, 0.5, True),
        (6.0, 2.0, True),
        (6.0, 2.1, False),  # the other one is no better than by a factor below three
        (1.9, 0.1, False),  # quick enough, whatever the others do
    ],
)
def test_a_provider_is_slow_beside_a_quicker_one(own: float, other: float, is_slow: bool) -> None:
    found = slower(steady(own), {"ses": steady(other)}, now=NOW)

    assert found == (Slower(own, "ses", other) if is_slow else None)


def test_the_quickest_of_the_others_counts() -> None:
    found = slower(steady(6.0), {"smtp": steady(5.0), "ses": steady(0.5)}, now=NOW)

    assert found == Slower(6.0, "ses", 0.5)
    assert str(found) == "25% of its calls take 6.0 s or longer, those of ses 0.5 s"


def test_few_calls_and_old_calls_say_nothing() -> None:
    few, old = speed(*[9.0] * (LEAST_CALLS - 1)), speed(*[9.0] * LEAST_CALLS, ended_at=NOW - 601)

    assert slower(few, {"ses": steady(0.5)}, now=NOW) is None
    assert slower(old, {"ses": steady(0.5)}, now=NOW) is None
    assert slower(steady(9.0), {"ses": speed(0.5)}, now=NOW) is None
    assert slower(steady(9.0), {}, now=NOW) is None


def test_a_slow_provider_rests_and_calls_that_began_before_do_not_count() -> None:
    rests, reason = after_call(steady(6.0), 6.0, {"ses": steady(0.5)}, now=NOW)
    later, _ = after_call(rests, 0.1, {}, now=NOW + 29)

    assert reason
    assert (rests.slow, rests.rests_until, rests.calls) == (True, NOW + 30, ())
    assert later == rests


def test_samples_after_the_rest_end_it_or_double_it() -> None:
    others, back, again = {"ses": steady(0.5)}, resting(NOW - 1), resting(NOW - 1)

    for _ in range(LEAST_CALLS):
        assert back.slow
        back, _ = after_call(back, 0.5, others, now=NOW)
        again, reason = after_call(again, 6.0, others, now=NOW)

    assert not back.slow
    assert (again.rests_until, again.rest_s, reason is not None) == (NOW + 60, 60.0, True)


def test_no_rest_is_longer_than_ten_minutes() -> None:
    judged = Speed(steady(6.0).calls[1:], NOW - 1, 500.0)

    rests, _ = after_call(judged, 6.0, {"ses": steady(0.5)}, now=NOW)

    assert rests.rest_s == 600.0


def test_a_provider_gets_samples_after_its_rest_one_a_second() -> None:
    def due(speed: Speed) -> bool:
        return sample_is_due("mailgun", {"mailgun": speed, "ses": steady(0.5)}, now=NOW)

    assert due(resting(NOW))
    assert not due(resting(NOW + 1))
    assert not due(Speed(rests_until=NOW, sampled_at=NOW - 0.9))


def test_an_unknown_provider_gets_samples_while_another_one_seems_slow() -> None:
    assert sample_is_due("ses", {"mailgun": steady(6.0), "ses": Speed()}, now=NOW)
    assert not sample_is_due("ses", {"mailgun": steady(1.0), "ses": Speed()}, now=NOW)
    assert not sample_is_due("ses", {"mailgun": steady(6.0), "ses": steady(0.5)}, now=NOW)
    assert not sample_is_due("mailgun", {"mailgun": steady(6.0), "ses": Speed()}, now=NOW)
