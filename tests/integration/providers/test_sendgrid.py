"""SendGrid: what is asked of it, what its answers mean, and its signed events."""

import base64
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Refusal, Refused
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.events import EventKind
from mailroom.domain.ids import AudienceId, DispatchId, MessageId, RunId
from mailroom.domain.messages.model import Message
from mailroom.domain.schedules import Content
from mailroom.providers.base import Batch, Letter, SendInParts
from mailroom.providers.connection import Reply
from mailroom.providers.mending import storable_document
from mailroom.providers.sendgrid.codes import read_reply
from mailroom.providers.sendgrid.sending import SendGridAdapter
from mailroom.providers.sendgrid.webhooks import parse, verify
from mailroom.providers.webhooks import BadSignature, Malformed

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ADAPTER = SendGridAdapter(base_url="https://api.sendgrid.com", api_key="SG.k", call_timeout_s=5, idle_limit_s=60)


def a_batch(parts: list[dict[str, str]], **changes: Any) -> Batch:
    fields: dict[str, Any] = {"sender": "Ann <ann@mg.example.com>", "subject": "Hi {{ name }}", "text": "Hi {{ name }}"}
    content = Content(**fields | {"html": "", "audience": AudienceId("a"), "recipients": len(parts)} | changes)
    messages = [
        Message(MessageId(f"m{n}"), RunId("run-1"), DispatchId("run-1-d0"), f"r{n}@example.org", f"R{n}", each)
        for n, each in enumerate(parts)
    ]
    return Batch(DispatchId("run-1-d0"), 2, RunId("run-1"), content, messages, NOW)


def body_of(request: Any) -> dict[str, Any]:
    return dict(json.loads(request.body))


def filled(body: dict[str, Any], number: int) -> tuple[str, str]:
    """Subject and text as SendGrid would fill them in for a recipient."""
    texts = [body["subject"], body["content"][0]["value"]]
    for key, value in body["personalizations"][number].get("substitutions", {}).items():
        texts = [text.replace(key, value) for text in texts]
    return texts[0], texts[1]


def test_a_batch_is_one_body_with_what_differs_for_each_recipient() -> None:
    request = ADAPTER.build(a_batch([{"s1": "Bo", "t1": "Bo"}, {"s1": "Al -mr", "t1": "Al -mr"}]))

    body = body_of(request)
    assert request.path == "/v3/mail/send"
    assert [filled(body, n) for n in (0, 1)] == [("Hi Bo", "Hi Bo"), ("Hi Al -mr", "Hi Al -mr")]
    assert body["personalizations"][0]["to"] == [{"email": "r0@example.org", "name": "R0"}]
    assert body["custom_args"] == {
        "mailroom_run": "run-1",
        "mailroom_dispatch": "run-1-d0",
        "mailroom_attempt": "2",
    }


def test_parts_too_long_for_a_personalization_go_one_by_one_and_are_written_out() -> None:
    long = {"s1": "Bo", "t1": "x" * 20_000}

    with pytest.raises(SendInParts) as caught:
        ADAPTER.build(a_batch([long, long]))

    assert caught.value.at_most == 1
    assert filled(body_of(ADAPTER.build(a_batch([long]))), 0) == ("Hi Bo", "Hi " + "x" * 20_000)


def test_a_mail_names_its_places_and_a_part_of_it_only_those_who_are_left() -> None:
    draft = EmailDraft(
        sender="shop@mg.example.com",
        to=["a@example.org"],
        cc=["b@example.org"],
        bcc=["c@example.org", "d@example.org"],
        subject="Hi",
        text="Hello",
        html="<img src='cid:logo'>",
        attachments=[{"filename": "l.png", "content_type": "image/png", "content": "YQ==", "content_id": "logo"}],
    )
    email = check_email(draft, now=NOW)

    def places(*recipients: str) -> list[dict[str, list[str]]]:
        letter = Letter(DispatchId("em_1-d0"), 1, RunId("em_1"), email, recipients, NOW)
        mails = body_of(ADAPTER.build_letter(letter))["personalizations"]
        return [{place: [one["email"] for one in some] for place, some in found.items()} for found in mails]

    everybody = ("a@example.org", "b@example.org", "c@example.org")
    assert places(*everybody) == [{"to": ["a@example.org"], "cc": ["b@example.org"], "bcc": ["c@example.org"]}]
    assert places("b@example.org", "c@example.org") == [{"to": ["b@example.org"], "bcc": ["c@example.org"]}]
    # Nobody of bcc sees another one.
    assert places("c@example.org", "d@example.org") == [{"to": ["c@example.org"]}, {"to": ["d@example.org"]}]
    body = body_of(ADAPTER.build_letter(Letter(DispatchId("d"), 1, RunId("em_1"), email, everybody, NOW)))
    assert [part["type"] for part in body["content"]] == ["text/plain", "text/html"]
    assert body["attachments"][0]["disposition"] == "inline"
    assert base64.b64decode(body["attachments"][0]["content"]) == b"a"


def refusal(message: str, field: str | None = None) -> bytes:
    return json.dumps({"errors": [{"message": message, "field": field, "help": None}]}).encode()


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply(202, {"x-message-id": "abc"}, b""), "abc"),
        (Reply(202, {}, b""), InDoubt),
        (Reply(400, {}, refusal("Does not contain a valid address.", "personalizations.0.to.1.email")), "recipient"),
        (Reply(400, {}, refusal("The subject is required.", "subject")), "permanent"),
        (Reply(413, {}, refusal("too large")), "permanent"),
        (Reply(401, {}, refusal("authorization required")), "account"),
        (Reply(403, {}, refusal("The from address does not match a verified Sender Identity")), "temporary"),
        (Reply(429, {"x-ratelimit-reset": str(int(NOW.timestamp()) + 9)}, refusal("too many requests")), "account"),
        (Reply(429, {"retry-after": format_datetime(NOW + timedelta(seconds=9))}, refusal("too many")), "account"),
        (Reply(400, {}, b"<html>a proxy's page</html>"), InDoubt),
        (Reply(408, {}, refusal("timeout")), InDoubt),
        (Reply(500, {}, refusal("oops")), InDoubt),
        (Reply(400, {}, b'{"errors": []}'), InDoubt),
    ],
)
def test_an_answer_becomes_the_outcome_that_it_means(reply: Reply, expected: Any) -> None:
    found = read_reply(reply, now=NOW)

    if isinstance(expected, type):
        assert isinstance(found, expected)
    elif isinstance(found, Refused):
        assert found.kind == Refusal(expected)
        assert found.retry_after == (timedelta(seconds=9) if reply.status == 429 else None)
    else:
        assert found == Accepted(expected, code=reply.status)


def public(key: ec.EllipticCurvePrivateKey) -> str:
    info = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, info)).decode()


def test_a_signature_holds_for_this_body_alone() -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    keys, raw = [public(other), public(key)], b'[{"event": "open"}]'
    signature = base64.b64encode(key.sign(b"1700000000" + raw, ec.ECDSA(hashes.SHA256()))).decode()

    verify(raw, signature, "1700000000", public_keys=keys)

    for body, given, at in (
        (raw + b" ", signature, "1700000000"),
        (raw, signature, "1700000001"),
        (raw, "", "1700000000"),
        (raw, "%%%", "1700000000"),
    ):
        with pytest.raises(BadSignature):
            verify(body, given, at, public_keys=keys)
    with pytest.raises(BadSignature):
        verify(raw, signature, "1700000000", public_keys=keys[:1])


@pytest.mark.parametrize(
    ("raw", "kind", "hard", "by_machine"),
    [
        ({"event": "processed"}, EventKind.ACCEPTED, False, False),
        ({"event": "delivered"}, EventKind.DELIVERED, False, False),
        ({"event": "bounce", "type": "bounce", "status": "5.1.1"}, EventKind.BOUNCED, True, False),
        ({"event": "bounce", "type": "blocked", "status": "5.7.1"}, EventKind.BOUNCED, False, False),
        ({"event": "bounce", "type": "bounce", "status": "5.2.2"}, EventKind.BOUNCED, False, False),
        ({"event": "bounce", "type": "bounce"}, EventKind.BOUNCED, True, False),
        (
            {"event": "bounce", "type": "bounce", "reason": "550 5.7.1 on our block list"},
            EventKind.BOUNCED,
            False,
            False,
        ),
        ({"event": "bounce", "type": "bounce", "reason": "552 mailbox full"}, EventKind.BOUNCED, False, False),
        ({"event": "bounce", "type": "bounce", "reason": "421 try again"}, EventKind.BOUNCED, False, False),
        ({"event": "bounce", "type": "bounce", "reason": "550 no such user"}, EventKind.BOUNCED, True, False),
        (
            {"event": "bounce", "type": "bounce", "reason": "550 gone", "bounce_classification": "Invalid Address"},
            EventKind.BOUNCED,
            True,
            False,
        ),
        (
            {"event": "bounce", "type": "bounce", "status": "5.1.1", "bounce_classification": "Reputation"},
            EventKind.BOUNCED,
            False,
            False,
        ),
        ({"event": "group_resubscribe"}, EventKind.RESUBSCRIBED, False, False),
        ({"event": "unsubscribe"}, EventKind.UNSUBSCRIBED, False, False),
        ({"event": "dropped", "reason": "Bounced Address"}, EventKind.REJECTED, False, False),
        ({"event": "open", "sg_machine_open": True}, EventKind.OPENED, False, True),
        ({"event": "spamreport"}, EventKind.COMPLAINED, False, False),
        ({"event": "group_unsubscribe"}, EventKind.UNSUBSCRIBED, False, False),
        ({"event": "something new"}, EventKind.UNKNOWN, False, False),
    ],
)
def test_an_event_is_read_in_our_words(raw: dict[str, Any], kind: EventKind, hard: bool, by_machine: bool) -> None:
    whole = {"sg_event_id": "e1", "timestamp": 1764000000, "email": "bo@example.org", "mailroom_run": "em_1", **raw}

    (event,) = parse([whole])

    assert (event.kind, event.hard, event.by_machine) == (kind, hard, by_machine)
    assert (event.id, event.recipient, event.run_id) == ("sendgrid/e1", "bo@example.org", "em_1")


def test_what_cannot_be_read_of_a_signed_batch_is_kept_as_it_came() -> None:
    at = datetime(2026, 11, 23, 8, tzinfo=UTC)
    good = {"sg_event_id": "e1", "timestamp": 1764000000, "event": "open"}
    odd: list[Any] = [None, 7, {}, "\ud83d", {"event": 5}, {"event": "open", "email": ["a"]}]

    events = parse([*odd, good], at)

    assert [event.kind for event in events] == [EventKind.UNKNOWN] * 5 + [EventKind.OPENED] * 2
    assert [json.loads(event.raw) for event in events] == [*odd, good]
    assert len({event.id for event in events}) == 7
    assert {event.at for event in events[:6]} == {at}
    assert all(event.raw.encode() and event.recipient.encode() == b"" for event in events)


@pytest.mark.parametrize(
    "told",
    [
        {"event": "unsubscribe", "email": "bo@example.org", "timestamp": 1764000000},
        {"event": "unsubscribe", "email": "Bo <bo@example.org>", "timestamp": 1764000000123, "sg_event_id": 7},
        {"event": "unsubscribe", "email": "bo@example.org", "timestamp": "1764000000", "name": "half \ud83d"},
        {"event": "unsubscribe", "email": "bo@example.org", "timestamp": "soon", "sg_event_id": ""},
        {"event": "unsubscribe", "email": "bo@example.org"},
    ],
)
def test_an_unsubscribe_is_taken_whatever_it_lacks(told: dict[str, Any]) -> None:
    first, again = (parse([told], datetime(2026, 11, 23, 8, tzinfo=UTC))[0] for _ in range(2))

    assert (first.kind, first.recipient) == (EventKind.UNSUBSCRIBED, "bo@example.org")
    assert first.at.year in (2025, 2026)
    assert first.id == again.id


def test_the_same_words_with_a_new_id_are_known_by_their_words() -> None:
    told = {"event": "open", "email": "bo@example.org", "timestamp": 1764000000, "sg_event_id": "a"}

    (first,), (retry,), (another,) = (
        parse([told | change]) for change in ({}, {"sg_event_id": "b"}, {"sg_event_id": "a", "timestamp": 1764000001})
    )

    assert first.id != retry.id
    assert first.replay_key == retry.replay_key != another.replay_key


def test_bytes_that_are_no_text_lose_no_event() -> None:
    raw = b'[{"event": "open", "timestamp": 1764000000, "sg_event_id": "e1", "url": "\xed\xa0\xbd"}]'

    assert [event.id for event in parse(storable_document(raw))] == ["sendgrid/e1"]


def test_what_is_no_array_is_refused() -> None:
    for raw in (b"", b"{}", b"[" * 100_000):
        with pytest.raises(Malformed):
            parse(storable_document(raw))
