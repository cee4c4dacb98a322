"""Whom dispatches of a campaign go to, by their places."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.domain.dispatches.spans import Calls, group_of, groups_of, of_part, span_of, spans_of_groups
from mailroom.domain.ids import AudienceId, DispatchId, RunId

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


@pytest.mark.parametrize(
    ("domains", "part", "shares"),
    [
        (["a.example", "b.example"], "b.example", False),  # another part of the same batch
        (["a.example", "b.example"], "", False),  # those of all other domains
        (["a.example", "b.example"], "a.example", True),
        (["a.example"], "", True),  # cut by other domains, anybody may be in it
        ([], "", True),  # the whole batch
    ],
)
def test_parts_of_a_batch_by_domain_share_nobody(domains: list[str], part: str, shares: bool) -> None:
    whole = span_of(ONE, 0, 25)
    mine, other = of_part(whole, ["b.example", "a.example"], "a.example"), of_part(whole, domains, part)

    assert (Calls({ANOTHER: other}).sharing(MINE, mine) == ANOTHER) is shares
    assert (Calls({ANOTHER: mine}).sharing(MINE, other) == ANOTHER) is shares


def test_a_call_shares_nobody_with_itself_nor_with_its_parts() -> None:
    span = span_of(ONE, 0, 25)

    assert Calls({MINE: span, PART: span}).sharing(MINE, span) is None


places = st.tuples(st.sampled_from([ONE, ONE, ONE, OTHER]), st.integers(0, 40), st.integers(1, 30))
ids = st.sampled_from([MINE, PART, ANOTHER, *(DispatchId(f"r-d{n:05d}") for n in range(20, 30))])


@given(st.dictionaries(ids, places), places)
def test_a_call_that_shares_a_recipient_is_found_among_many_calls(
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


@pytest.mark.parametrize(
    ("people", "batch_size", "groups"),
    [
        (0, 1_000, 1),
        (1, 1_000, 1),
        (870, 1_000, 1),
        (1_000, 1_000, 2),
        (1_682, 1_000, 2),
        (100_000, 1_000, 128),
        (9, 1, 128),
    ],
)
def test_people_are_cut_into_groups_of_hardly_more_than_a_batch(people: int, batch_size: int, groups: int) -> None:
    assert groups_of(people, batch_size) == groups


@given(st.integers(1, 10), st.text("0123456789abcdef", min_size=20, max_size=20))
def test_groups_follow_each_other_in_the_order_of_digests(power: int, digest: str) -> None:
    run, groups = RunId("sch_1-now-1"), 2**power
    first, last = (group_of(run, groups, edge * 20).number for edge in "0f")

    assert (first, last) == (0, groups - 1)
    assert group_of(run, groups, digest).number <= group_of(run, groups, digest[:8] + "f" * 12).number


def test_a_call_of_another_number_of_groups_or_of_none_may_have_gone_to_anybody() -> None:
    run = RunId("sch_1-again-1")
    mine, beside = group_of(run, 4, "0" * 20), group_of(run, 4, "f" * 20)
    id_ = DispatchId(f"{run}-d{mine.name}")

    for other, span, shares in [
        (DispatchId(f"{run}-d{beside.name}"), beside.span, False),
        (DispatchId(f"{run}-d{beside.name}"), "", False),
        (DispatchId(f"{run}-d8g00001"), group_of(run, 8, "2" * 20).span, True),
        (DispatchId(f"{run}-d3fa"), "", True),
        (DispatchId(f"{id_}.a1b2"), "", False),
    ]:
        assert (Calls(spans_of_groups(run, 4, {other: span})).sharing(id_, mine.span) is not None) is shares
