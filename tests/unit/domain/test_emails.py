"""What may be handed in as a single mail, and what its recipients together say about it."""

from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest

from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.emails.model import Place
from mailroom.domain.emails.status import overall
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import keyed_email_id, new_email_id
from mailroom.domain.lane_names import mail_lane
from mailroom.domain.limits import MAX_MAIL_BYTES
from mailroom.domain.messages.states import MessageState
from mailroom.providers.mime import as_mime
from mailroom.services.common.idempotency import digest_of_request

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


def test_every_fault_is_reported_at_once() -> None:
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


@pytest.mark.parametrize(
    "written",
    ["SGVsbG8=", "SGVs\r\nbG8=", "SGVs\nbG8=\n", "\r\nSGVs bG8=\r\n", "S\tG\nV\ns\nb\nG\n8\n=\n"],
    ids=["one line", "CRLF", "LF", "spaces", "a letter a line"],
)
def test_an_attachment_may_come_in_lines_as_encoders_write_it(written: str) -> None:
    email = check_email(a_draft(attachments=[{"filename": "a.txt", "content": written}]), now=NOW)

    assert email.body.attachments[0].content == b"Hello"


@pytest.mark.parametrize("written", ["SGVsbG8", "SGVs=bG8=", "SGVs-G8_", "data:;base64,SGVsbG8=", "SGVsbG8=\0"])
def test_an_attachment_that_is_no_base64_is_refused(written: str) -> None:
    assert faults(attachments=[{"filename": "a.txt", "content": written}]) == ["attachments[0].content"]


def test_an_invitation_keeps_the_parameters_of_its_type_on_the_way() -> None:
    kind = "text/calendar; method=REQUEST; charset=utf-8"
    attachment = {"filename": "invite.ics", "content": "SGVsbG8=", "content_type": kind}
    email = check_email(a_draft(attachments=[attachment]), now=NOW)

    part = next(message_from_bytes(as_mime(email, message_id="a@b", date=NOW), policy=default).iter_attachments())

    assert (part.get_content_type(), part.get_param("method"), part.get_param("charset")) == (
        "text/calendar",
        "REQUEST",
        "utf-8",
    )
    assert part.get_payload(decode=True) == b"Hello"


@pytest.mark.parametrize(
    "variables",
    [{"a": "x" * 100_001}, {"a": 10**20}, {"a": -(10**30)}, {"a": "x", "b": "y" * 100_001}],
    ids=["text", "number", "negative", "another"],
)
def test_a_value_that_fills_in_a_mail_has_a_limit(variables: dict[str, Any]) -> None:
    assert faults(variables=variables)[0].startswith("variables.")


def test_a_mail_with_an_empty_object_of_variables_is_a_template_too() -> None:
    assert faults(text="Your code is {{ code }}", templated=True) == ["text"]
    assert check_email(a_draft(text="Your code is {{ code }}"), now=NOW).body.text == "Your code is {{ code }}"
    assert check_email(a_draft(text="No {# comment #}", templated=True), now=NOW).body.text == "No {# comment #}"


def test_a_stored_key_is_still_known_to_requests_that_say_nothing_new() -> None:
    """The digest of a request of 2026-11-28, as it is stored."""
    draft = a_draft(text="{{ a }}", variables={"a": "b"}, templated=True)

    assert digest_of_request(draft) == digest_of_request(a_draft(text="{{ a }}", variables={"a": "b"}))
    assert digest_of_request(draft) == "e7daa2ce4fc8f10b89bc544ad3bec9dd70eefc8cf612fc811db9ae076c1ff785"
