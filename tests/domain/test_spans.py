"""Whom dispatches of a campaign go to, by their places."""

import pytest

from mailroom.domain.ids import AudienceId
from mailroom.domain.spans import may_share, span_of

ONE, OTHER = AudienceId("aud_1"), AudienceId("aud_2")


@pytest.mark.parametrize(
    ("one", "other", "shares"),
    [
        (span_of(ONE, 0, 25), span_of(ONE, 0, 25), True),
        (span_of(ONE, 0, 25), span_of(ONE, 25, 50), False),
        (span_of(ONE, 25, 50), span_of(ONE, 0, 1_000), True),
        (span_of(ONE, 0, 25), span_of(ONE, 24, 25), True),
        (span_of(ONE, 0, 25), span_of(OTHER, 100, 125), True),  # of another list anybody may be in it
        (span_of(ONE, 0, 25), "", False),
    ],
)
def test_two_spans_may_share_somebody(one: str, other: str, shares: bool) -> None:
    assert may_share(one, other) is shares
    assert may_share(other, one) is shares
