"""Links to confirm a subscription: they name who asked for what and when, and are of no other use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailroom.domain.confirm_links import ConfirmLinks, SubscriptionRequest
from mailroom.domain.ids import RunId
from mailroom.domain.sealed_tokens import TokenSeal
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks

URL = "https://mail.example.com"
KEY = "a-key-of-16-bytes"
NOW = datetime(2026, 12, 1, 9, 0, 0, 123_000, UTC)
BO = SubscriptionRequest("Bo@example.org", "newsletter", "Bo Zoë", NOW, NOW + timedelta(days=3))


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_a_link_names_its_request_whole_and_shows_nothing_of_it() -> None:
    links = ConfirmLinks(URL, [KEY])

    url = links.url(BO)

    assert url.startswith(f"{URL}/c/")
    assert "example" not in url.removeprefix(URL)
    assert links.read(token_of(url)) == BO
    assert links.url(BO) == url


def test_the_longest_name_and_address_fit() -> None:
    longest = replace(BO, name="\N{GRINNING FACE}" * 200, address=f"{'a' * 64}@{'b' * 180}.example", topic="t" * 40)
    links = ConfirmLinks(URL, [KEY])

    assert links.read(token_of(links.url(longest))) == longest


def test_a_token_to_unsubscribe_confirms_nothing_and_the_other_way_round() -> None:
    confirm, leave = ConfirmLinks(URL, [KEY]), UnsubscribeLinks(URL, [KEY])
    membership = Membership("bo@example.org", "newsletter", RunId("em_1"))

    assert confirm.read(token_of(leave.url(membership))) is None
    assert leave.read(token_of(confirm.url(BO))) is None


def test_a_key_that_is_retired_confirms_nothing() -> None:
    """It may have leaked; and links to confirm end within weeks."""
    old = token_of(ConfirmLinks(URL, ["an-older-key-of-ours"]).url(BO))

    assert ConfirmLinks(URL, [KEY, "an-older-key-of-ours"]).read(old) == BO
    assert ConfirmLinks(URL, [KEY]).read(old) is None


@pytest.mark.parametrize("change", [lambda t: t[:-1], lambda t: "B" + t[1:], lambda t: t + "AAAA", lambda _: "é" * 9])
def test_what_is_no_link_of_ours_is_nobodys(change) -> None:  # type: ignore[no-untyped-def]
    links = ConfirmLinks(URL, [KEY])

    assert links.read(change(token_of(links.url(BO)))) is None


def test_a_request_has_one_mail_and_another_request_another_one() -> None:
    again = replace(BO, asked_at=NOW + timedelta(milliseconds=1))

    assert BO.mail == replace(BO, address="bo@EXAMPLE.org", name="").mail
    assert len({BO.mail, again.mail, replace(BO, topic="offers").mail, replace(BO, address="di@example.org").mail}) == 4
    assert len(BO.key) <= 255
    assert "example" not in BO.key


def test_a_token_of_one_purpose_is_nothing_to_another_and_to_another_key() -> None:
    token = TokenSeal("doors", [KEY]).token_of("bo", "newsletter")

    assert TokenSeal("doors", ["a-newer-key-of-ours", KEY]).texts_of(token) == ["bo", "newsletter"]
    assert TokenSeal("windows", [KEY]).texts_of(token) is None
    assert TokenSeal("doors", ["a-newer-key-of-ours"]).texts_of(token) is None
