"""Links to unsubscribe: personal, unreadable, stable, and valid for as long as their key is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.domain.ids import RunId
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks

URL = "https://mail.example.com"
BO = Membership("Bo@example.org", "newsletter", RunId("sch_1-20261201T090000Z"))
words = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=300)


def links(*keys: str, retired: tuple[str, ...] = ()) -> UnsubscribeLinks:
    return UnsubscribeLinks(URL, keys or ("a-key-of-16-bytes",), retired=retired)


def token_of(url: str) -> str:
    return url.removeprefix(f"{URL}/u/")


@given(address=words, topic=words, run=words)
def test_a_link_names_its_reader_topic_and_mail(address: str, topic: str, run: str) -> None:
    membership = Membership(address, topic, RunId(run))

    token = token_of(links().url(membership))

    assert token.replace("-", "").replace("_", "").isalnum()
    assert token.isascii()
    if len(token) <= 2_048:
        assert links().read(token) == membership


def test_a_mail_has_the_same_link_each_time_and_each_reader_one_of_their_own() -> None:
    ann = Membership("ann@example.org", BO.topic, BO.run)

    assert links().url(BO) == links().url(BO)
    assert links().url(BO) != links().url(ann)


def test_the_address_does_not_show_in_a_link() -> None:
    assert "example.org" not in links().url(BO)
    assert "Ym9A" not in links().url(BO)  # its beginning in base64


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token[:-2],
        lambda token: "B" + token[1:],
        lambda token: token + "AAAA",
        lambda _: "",
        lambda _: "AQ",
        lambda _: "é" * 30,
        lambda _: "A" * 1_000_000,
        lambda _: "../../etc/passwd",
    ],
)
def test_what_is_no_link_of_ours_is_nobodys(change) -> None:  # type: ignore[no-untyped-def]
    assert links().read(change(token_of(links().url(BO)))) is None


def test_links_outlive_the_key_that_made_them() -> None:
    token = token_of(links("an-older-key-of-ours").url(BO))

    assert links("a-newer-key-of-ours", "an-older-key-of-ours").read(token) == BO
    assert links("a-newer-key-of-ours", retired=("an-older-key-of-ours",)).read(token) == BO
    assert links("a-newer-key-of-ours").read(token) is None


def test_a_retired_key_makes_no_links() -> None:
    token = token_of(links("a-newer-key-of-ours", retired=("an-older-key-of-ours",)).url(BO))

    assert links("an-older-key-of-ours").read(token) is None


def test_a_reader_may_leave_by_mail_where_a_mailbox_is_set_with_the_token_of_the_link() -> None:
    by_mail = UnsubscribeLinks(URL, ["a-key-of-16-bytes"], mailbox="leave+us&co@mg.example.com")

    url = by_mail.url(BO)
    mailto = by_mail.mailto(url)

    assert url == links().url(BO)
    assert mailto == f"mailto:leave%2Bus%26co@mg.example.com?subject=unsubscribe-{token_of(url)}"
    assert (links().by_mail, links().mailto(url)) == (False, "")


def test_two_links_that_fit_no_line_of_a_header_are_one() -> None:
    by_mail = UnsubscribeLinks(URL, ["a-key-of-16-bytes"], mailbox="leave@mg.example.com")
    longest = Membership(f"{'a' * 64}@{'b' * 180}.example", "t" * 40, RunId("r" * 60))

    assert by_mail.mailto(by_mail.url(longest)) == ""
