"""The mail that asks to confirm: checked as it is saved, with usual words, and held back for a day."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.confirmations import DEFAULT_WITHIN_S, asked_at, check_confirmation, renewed_before

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
SENDER = {"confirm_from": "Shop <news@mg.example.com>"}


def faults(*, needed: bool = True, **changes: Any) -> list[str]:
    _, found = check_confirmation(SENDER | changes, topic="Weekly news", needed=needed)
    return [fault.path for fault in found]


def test_what_is_left_out_gets_the_usual_words_with_link_and_topic() -> None:
    confirmation, found = check_confirmation(SENDER, topic="Weekly news", needed=True)

    assert found == []
    assert "{{ topic }}" in confirmation.subject
    assert "{{ confirm_url }}" in confirmation.text
    assert 'href="{{ confirm_url }}"' in confirmation.html
    assert confirmation.within_s == DEFAULT_WITHIN_S == 259_200


def test_a_body_that_is_given_stands_alone() -> None:
    confirmation, found = check_confirmation(
        SENDER | {"confirm_text": "Go to {{ confirm_url }}"}, topic="News", needed=True
    )

    assert (found, confirmation.html) == ([], "")


def test_what_was_checked_once_is_the_same_when_it_is_checked_again() -> None:
    first, _ = check_confirmation(SENDER, topic="Weekly news", needed=True)
    again, _ = check_confirmation(
        {
            "confirm_from": first.sender,
            "confirm_subject": first.subject,
            "confirm_text": first.text,
            "confirm_html": first.html,
            "confirm_within_s": first.within_s,
        },
        topic="Weekly news",
        needed=True,
    )

    assert again == first


def test_without_double_opt_in_nothing_is_needed_and_nothing_is_filled_in() -> None:
    confirmation, found = check_confirmation({}, topic="Weekly news", needed=False)

    assert found == []
    assert (confirmation.sender, confirmation.subject, confirmation.text) == ("", "", "")


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"confirm_from": ""}, ["confirm_from"]),
        ({"confirm_from": "nobody"}, ["confirm_from"]),
        ({"confirm_from": "A <a@example.org>\r\nBcc: b@example.org"}, ["confirm_from"]),
        ({"confirm_subject": "A\nBcc: b@example.org"}, ["confirm_subject"]),
        ({"confirm_subject": "{{ confirm_url }}"}, ["confirm_subject"]),
        ({"confirm_subject": "{{ topic }}" * 60}, ["confirm_subject"]),
        ({"confirm_text": "No link"}, ["confirm_text"]),
        ({"confirm_text": "{{ confirm_url }}x"}, ["confirm_text"]),
        ({"confirm_text": "Hello {{ name }}, {{ confirm_url }}"}, ["confirm_text"]),
        ({"confirm_html": "<!-- {{ confirm_url }} -->"}, ["confirm_html"]),
        ({"confirm_html": '<a href="{{ confirm_url }}"></a>', "confirm_text": "x"}, ["confirm_text", "confirm_html"]),
        ({"confirm_text": "{% for a in b %}{{ confirm_url }}{% endfor %}"}, ["confirm_text"]),
        ({"confirm_text": "{{ confirm_url }} %unsubscribe_url%"}, ["confirm_text"]),
        ({"confirm_text": "{{ confirm_url }}" + "x" * 10_000}, ["confirm_text"]),
        ({"confirm_within_s": 3_599}, ["confirm_within_s"]),
        ({"confirm_within_s": 2_592_001}, ["confirm_within_s"]),
        ({"confirm_within_s": "soon"}, ["confirm_within_s"]),
        ({"confirm_within_s": True}, ["confirm_within_s"]),
        ({"confirm_from": "x", "confirm_text": "x", "confirm_within_s": 1}, ["confirm_from", "confirm_within_s"]),
    ],
)
def test_every_fault_is_named(changes: dict[str, Any], paths: list[str]) -> None:
    assert set(paths) <= set(faults(**changes))


def test_a_mail_holds_others_back_for_a_day_unless_the_reader_has_left_since() -> None:
    a_day_ago = NOW - timedelta(days=1)
    left = NOW - timedelta(hours=1)

    assert renewed_before(NOW, None) == a_day_ago
    assert renewed_before(NOW, a_day_ago - timedelta(days=5)) == a_day_ago
    assert renewed_before(NOW, left) == left


def test_a_request_is_later_than_the_leaving_before_it_whatever_the_clock_says() -> None:
    ahead = NOW + timedelta(seconds=30)

    assert asked_at(NOW, None) == NOW
    assert asked_at(NOW, ahead) > ahead
    assert asked_at(NOW, NOW - timedelta(days=1)) == NOW
