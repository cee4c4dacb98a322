"""What a sender learns of the providers' speeds from its calls. The clock is the test's."""

import pytest

from mailroom.domain.dispatches.outcomes import Accepted, CallResult, InDoubt, Outcome, Refusal, Refused
from mailroom.domain.slowness import LEAST_CALLS
from sender.speeds import Speeds
from tests.support.builders import a_claimed

YES = Accepted("id")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def note(speeds: Speeds, provider: str, took_s: float | None, outcome: Outcome = YES, **claimed: int) -> None:
    for _ in range(LEAST_CALLS):
        speeds.note(CallResult(a_claimed(provider=provider, **claimed), outcome, took_s), lambda _: True)


def test_a_slow_provider_is_left_and_comes_back_by_samples() -> None:
    clock = Clock()
    speeds = Speeds(["mailgun", "ses"], clock)
    note(speeds, "ses", 0.2)

    note(speeds, "mailgun", 9.0)
    assert speeds.slow("mailgun")
    assert speeds.reasons() == {"mailgun": "25% of its calls take 9.0 s or longer, those of ses 0.2 s"}
    assert not speeds.take_sample("mailgun")

    clock.now += 30
    assert speeds.take_sample("mailgun")
    assert not speeds.take_sample("mailgun")
    note(speeds, "mailgun", 0.3)
    assert not speeds.slow("mailgun")
    assert speeds.reasons() == {}


@pytest.mark.parametrize(
    ("outcome", "claimed"),
    [
        (InDoubt("no answer"), {}),
        (Refused(Refusal.TEMPORARY, "later", 450), {}),
        (Accepted("id", attempt=1), {}),  # an earlier call's
        (YES, {"messages": 100}),
        (YES, {"size": 10_000_000}),
    ],
)
def test_what_says_nothing_about_speed_is_not_counted(outcome: Outcome, claimed: dict[str, int]) -> None:
    speeds = Speeds(["mailgun", "ses"])
    note(speeds, "ses", 0.2)

    note(speeds, "mailgun", 9.0, outcome, **claimed)
    note(speeds, "mailgun", None)

    assert not speeds.slow("mailgun")


def test_a_provider_that_takes_no_mail_is_no_comparison() -> None:
    speeds = Speeds(["mailgun", "ses"])
    note(speeds, "ses", 0.2)

    for _ in range(LEAST_CALLS):
        speeds.note(CallResult(a_claimed(provider="mailgun"), YES, 9.0), lambda name: name != "ses")

    assert not speeds.slow("mailgun")
