"""The sentence about calls that had begun before all sending was stopped."""

import pytest

from mailroom.domain.holds import EVERYTHING, Hold
from mailroom.domain.ids import ClaimId, DispatchId, Lane
from mailroom.services.common.sending_switch import Switch, what_still_goes
from mailroom.storage.dispatches.counts import InHand


def stopped(*mails: int, sure: bool = True) -> Switch:
    """Stopped while calls with so many mails each were in flight."""
    calls = [InHand(DispatchId(f"d{n}"), Lane("mail/0"), ClaimId("c"), count, "") for n, count in enumerate(mails)]
    return Switch(Hold(EVERYTHING, 1, "ann", None), tuple(calls), sure)


@pytest.mark.parametrize(
    ("switch", "words"),
    [
        (stopped(), "No request is in flight."),
        (stopped(1), "1 request with 1 email began before: its outcome is recorded."),
        (stopped(1_000, 204), "2 requests with 1,204 emails began before: their outcomes are recorded."),
        (
            stopped(1, sure=False),
            "Up to 1 request with 1 email may still go: Redis does not answer, or has failed over.",
        ),
    ],
)
def test_the_calls_that_had_begun_are_counted_with_their_emails(switch: Switch, words: str) -> None:
    assert what_still_goes(switch) == words
