"""Shares between providers: drawn from the dispatch's id alone, in proportion to the weights."""

from collections import Counter

import pytest

from mailroom.domain.ids import DispatchId, child_dispatch_id, message_id
from mailroom.domain.ids import RunId as Run
from mailroom.domain.shares import NO_SHARES, Shares, common_domain

IN_FORCE = ["mailgun", "ses", "smtp"]
SHARES = Shares({"mailgun": 70, "ses": 30}, {"gmail.com": {"ses": 100}})


def ids(count: int) -> list[DispatchId]:
    return [DispatchId(f"em_{n}-d00000") for n in range(count)]


def first_choices(shares: Shares, in_force: list[str] = IN_FORCE, domain: str = "") -> Counter[str]:
    return Counter(shares.order(id_, domain, in_force)[0] for id_ in ids(2_000))


def test_first_choices_are_in_proportion_to_the_weights() -> None:
    chosen = first_choices(SHARES)

    assert chosen.keys() == {"mailgun", "ses"}
    assert 0.66 < chosen["mailgun"] / chosen.total() < 0.74


def test_mail_of_a_provider_that_is_gone_is_divided_by_the_weights_and_no_other_mail_moves() -> None:
    shares = Shares({"mailgun": 50, "ses": 40, "smtp": 10})
    before = {id_: shares.order(id_, "", IN_FORCE)[0] for id_ in ids(2_000)}

    after = {id_: shares.order(id_, "", ["ses", "smtp"])[0] for id_ in before}

    moved = Counter(after[id_] for id_ in before if before[id_] == "mailgun")
    assert 0.74 < moved["ses"] / moved.total() < 0.86
    assert all(after[id_] == before[id_] for id_ in before if before[id_] != "mailgun")


def test_a_provider_without_a_share_is_the_last_choice_in_the_order_in_force() -> None:
    (id_,) = ids(1)

    assert list(SHARES.order(id_, "gmail.com", ["smtp", "mailgun", "ses"])) == ["ses", "smtp", "mailgun"]


def test_a_domain_has_its_own_weights_and_all_others_the_common_ones() -> None:
    assert first_choices(SHARES, domain="gmail.com") == {"ses": 2_000}
    assert first_choices(SHARES, domain="example.org") == first_choices(SHARES)
    assert Shares({}, {"gmail.com": {"ses": 1}}).order(ids(1)[0], "", IN_FORCE) == IN_FORCE


def test_without_shares_the_order_in_force_decides() -> None:
    assert NO_SHARES.order(ids(1)[0], "gmail.com", IN_FORCE) == IN_FORCE


def test_a_part_of_a_split_dispatch_has_the_order_of_the_whole() -> None:
    for id_ in ids(50):
        part = child_dispatch_id(id_, [message_id(Run("em_1"), "bo@example.org")])

        assert SHARES.order(part, "", IN_FORCE) == SHARES.order(id_, "", IN_FORCE)


@pytest.mark.parametrize(
    ("addresses", "domain"),
    [(["a@Gmail.com", "b@gmail.com"], "gmail.com"), (["a@gmail.com", "b@example.org"], ""), ([], "")],
)
def test_addresses_have_one_domain_in_common_or_none(addresses: list[str], domain: str) -> None:
    assert common_domain(addresses) == domain
