"""What may be handed in as a single mail, and what its recipients together say about it."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.emails.model import Place
from mailroom.domain.emails.status import overall
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import keyed_email_id, mail_lane, new_email_id
from mailroom.domain.limits import MAX_MAIL_BYTES
from mailroom.domain.messages import MessageState
from mailroom.providers.mime import as_mime

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def a_draft(**changes: Any) -> EmailDraft:
    fields: dict[str, Any] = {"sender": "shop@mg.example.com", "to": ["bo@example.org"], "subject": "Hi", "text": "Hi"}
    return EmailDraft(**fields | changes)


def faults(**changes: Any) -> list[str]:
    """The paths of what is wrong with a draft that differs so from a valid one."""
    with pytest.raises(InvalidInput) as caught:
        check_email(a_draft(**changes), now=NOW)
    return [fault.path for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("changes", "paths"),
    [
        ({"sender": "nobody"}, ["from"]),
        ({"reply_to": "x"}, ["reply_to"]),
        ({"to": []}, ["to"]),
        ({"to": ["a@b.org", "bad", "c@d.org"], "cc": ["worse"], "bcc": ["\n"]}, ["to[1]", "cc[0]", "bcc[0]"]),
        ({"to": [f"a{n}@example.org" for n in range(51)]}, ["to"]),
        ({"subject": " "}, ["subject"]),
        ({"subject": "a\r\nBcc: x@y.org"}, ["subject"]),
        ({"text": ""}, ["text"]),
        ({"subject": "a\u2028b"}, ["subject"]),
        ({"to": ['"%reci\\pient" <bo@example.org>']}, ["to[0]"]),
        ({"to": ["a." * 243 + "b <bo@example.org>"]}, ["to[0]"]),
        ({"reply_to": "1 a/b"}, ["reply_to"]),
        ({"headers": {"Resent-From": "x <"}}, ["headers.Resent-From"]),
        ({"headers": {f"X-{n}": "x" * 995 for n in range(15)}}, ["headers"]),
        ({"variables": {"a": "b"}, "text": "{{ a }}" * 20_000}, ["text"]),
        ({"variables": {"a": "b"}, "text": "x" * 200_001}, ["text"]),
        ({"metadata": {"a\0b": "x"}}, ["metadata.a\0b"]),
        ({"text": "x" * (MAX_MAIL_BYTES + 1)}, ["text"]),
        ({"headers": {"Bcc": "x@y.org"}}, ["headers.Bcc"]),
        ({"headers": {"X-A": "1\r\nBcc: x@y.org"}}, ["headers.X-A"]),
        ({"headers": {"X A": "1"}}, ["headers.X A"]),
        ({"headers": {"X-Mailgun-Drop-Message": "yes"}}, ["headers.X-Mailgun-Drop-Message"]),
        ({"headers": {f"X-{n}": "1" for n in range(16)}}, ["headers"]),
        ({"attachments": [{"filename": "a", "content": "%%%"}]}, ["attachments[0].content"]),
        ({"attachments": [{"filename": "../a", "content": "YQ=="}]}, ["attachments[0].filename"]),
        (
            {"attachments": [{"filename": "a", "content": "YQ==", "content_type": "a\r\nb"}]},
            ["attachments[0].content_type"],
        ),
        ({"attachments": [{"filename": "a", "content": "YQ==", "content_id": "<x>"}]}, ["attachments[0].content_id"]),
        ({"variables": {"name": "Bo"}, "text": "{{ nmae }}"}, ["text"]),
        ({"variables": {"a-b": "Bo"}}, ["variables.a-b"]),
        ({"tags": ["é"]}, ["tags[0]"]),
        ({"metadata": {"a": "x" * 501}}, ["metadata.a"]),
        ({"priority": "urgent"}, ["priority"]),
        ({"send_at": datetime(2026, 12, 1, 9, 0)}, ["send_at"]),
        ({"send_at": NOW + timedelta(days=400)}, ["send_at"]),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_path(changes: dict[str, Any], paths: list[str]) -> None:
    assert faults(**changes) == paths


def test_every_fault_is_told_at_once() -> None:
    assert faults(sender="x", to=["y"], subject="", text="") == ["from", "to[0]", "subject", "text"]


def test_an_address_that_stands_twice_is_kept_where_it_stands_first() -> None:
    email = check_email(a_draft(to=["Bo <bo@example.org>", "al@example.org"], cc=["BO@example.org"]), now=NOW)

    assert [(str(one.mailbox), one.place) for one in email.addressees] == [
        ("Bo <bo@example.org>", Place.TO),
        ("al@example.org", Place.TO),
    ]


def test_without_variables_braces_are_only_braces() -> None:
    assert check_email(a_draft(text="{{ not ours }} {% nor this"), now=NOW).body.text == "{{ not ours }} {% nor this"


def test_a_time_that_is_past_is_at_once_and_one_to_come_is_kept_in_utc() -> None:
    rome = timezone(timedelta(hours=1))

    assert check_email(a_draft(send_at=NOW - timedelta(days=9)), now=NOW).send_at is None
    later = check_email(a_draft(send_at=datetime(2026, 11, 23, 10, 0, tzinfo=rome)), now=NOW).send_at
    assert later == NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({"delivered"}, "delivered"),
        ({"delivered", "queued"}, "queued"),
        ({"delivered", "in_doubt", "queued"}, "in_doubt"),
        ({"delivered", "failed"}, "failed"),
        ({"sent", "delivered"}, "sent"),
        ({"suppressed", "delivered"}, "delivered"),
        ({"suppressed"}, "suppressed"),
        ({"cancelled", "suppressed"}, "suppressed"),
    ],
)
def test_a_mails_state_is_what_most_wants_to_be_known_of_its_recipients(states: set[str], expected: str) -> None:
    assert overall({MessageState(state) for state in states}) == expected


def test_ids_sort_by_time_are_the_same_for_the_same_key_and_spread_over_the_lanes() -> None:
    made = [new_email_id(NOW + timedelta(milliseconds=n)) for n in range(1_000)]

    assert made == sorted(made)
    assert keyed_email_id("ann", "k") == keyed_email_id("ann", "k") != keyed_email_id("bob", "k")
    assert {mail_lane(id_, 16) for id_ in made} == {f"mail/{n}" for n in range(16)}


def test_no_mime_header_names_bcc_and_no_value_makes_a_header() -> None:
    email = check_email(
        a_draft(
            sender='"Ünal, Ann" <ann@mg.example.com>',
            to=["bo@example.org"],
            bcc=["secret@example.org"],
            subject="Grüße ☃",
            text="Hi\r\n.\r\nBcc: no",
            html="<p>Hi</p>",
            headers={"X-A": "1"},
        ),
        now=NOW,
    )

    head = as_mime(email, message_id="a@b", date=NOW).split(b"\r\n\r\n", 1)[0].decode()

    assert "secret@example.org" not in head
    assert "\nBcc" not in head
    assert "X-A: 1" in head
    assert "Message-ID: <a@b>" in head
