"""Whom dispatches of a campaign go to, by their places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.domain.ids import AudienceId, DispatchId
from mailroom.domain.spans import Calls, span_of

ONE, OTHER = AudienceId("aud_1"), AudienceId("aud_2")
MINE, ANOTHER, PART = DispatchId("r-d00001"), DispatchId("r-d00007"), DispatchId("r-d00001.a1b2")


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
    assert (Calls({ANOTHER: other}).sharing(MINE, one) == ANOTHER) is shares
    assert (Calls({ANOTHER: one}).sharing(MINE, other) == ANOTHER) is shares


def test_a_call_shares_nobody_with_itself_nor_with_its_parts() -> None:
    span = span_of(ONE, 0, 25)

    assert Calls({MINE: span, PART: span}).sharing(MINE, span) is None


places = st.tuples(st.sampled_from([ONE, ONE, ONE, OTHER]), st.integers(0, 40), st.integers(1, 30))
ids = st.sampled_from([MINE, PART, ANOTHER, *(DispatchId(f"r-d{n:05d}") for n in range(20, 30))])


@given(st.dictionaries(ids, places), places)
def test_whoever_shares_somebody_is_found_among_many_calls(
    made: dict[DispatchId, tuple[AudienceId, int, int]], mine: tuple[AudienceId, int, int]
) -> None:
    list_, start, length = mine
    sharing = {
        id_
        for id_, (its_list, its_start, its_length) in made.items()
        if id_ not in (MINE, PART)
        and (its_list != list_ or (its_start < start + length and start < its_start + its_length))
    }

    found = Calls({id_: span_of(of, at, at + many) for id_, (of, at, many) in made.items()}).sharing(
        MINE, span_of(list_, start, start + length)
    )

    assert (found in sharing) if sharing else found is None
