"""Resend: what is asked of it, what its answers mean, and its signed events.

The payloads of its webhooks have the shape of resend/resend-openapi and of resend.com/docs/webhooks (read 2026-11).
"""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Refusal, Refused
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.events import EventKind
from mailroom.domain.ids import AudienceId, DispatchId, MessageId, RunId
from mailroom.domain.limits import MAX_MAIL_RECIPIENTS
from mailroom.domain.messages.model import Message
from mailroom.domain.schedules import Content
from mailroom.providers.base import Batch, Letter, SendInParts
from mailroom.providers.batches import BatchReply
from mailroom.providers.connection import Reply
from mailroom.providers.pace import LATER
from mailroom.providers.resend.codes import read_reply
from mailroom.providers.resend.sending import ResendAdapter
from mailroom.providers.resend.tags import recipients_in, tags_of
from mailroom.providers.resend.webhooks import ResendWebhooks, parse
from mailroom.providers.webhooks import BadSignature, Delivery, Malformed, Stale

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SECRET = f"whsec_{base64.b64encode(b'a key of tests, of 24 by').decode()}"
ADAPTER = ResendAdapter(base_url="https://api.resend.com", api_key="re_k", call_timeout_s=5, idle_limit_s=60)


def a_batch(parts: list[dict[str, str]], attempt: int = 2, **changes: Any) -> Batch:
    fields: dict[str, Any] = {"sender": "Ann <ann@mg.example.com>", "subject": "Hi {{ name }}", "text": "Hi {{ name }}"}
    content = Content(**fields | {"html": "", "audience": AudienceId("a"), "recipients": len(parts)} | changes)
    messages = [
        Message(MessageId(f"m{n}"), RunId("run-1"), DispatchId("run-1-d0.ab"), f"r{n}@example.org", f"R{n}", each)
        for n, each in enumerate(parts)
    ]
    return Batch(DispatchId("run-1-d0.ab"), attempt, RunId("run-1"), content, messages, NOW)


def a_letter(*recipients: str, **changes: Any) -> Letter:
    fields: dict[str, Any] = {
        "sender": "shop@mg.example.com",
        "to": ["Ann A <a@example.org>"],
        "cc": ["b@example.org"],
        "bcc": ["c@example.org", "d@example.org"],
        "subject": "Hi",
        "text": "Hello",
    }
    email = check_email(EmailDraft(**fields | changes), now=NOW)
    return Letter(DispatchId("em_1-d0"), 1, RunId("em_1"), email, recipients or ("a@example.org",), NOW)


def tags_in(mail: dict[str, Any]) -> dict[str, str]:
    return {tag["name"]: tag["value"] for tag in mail["tags"]}


def test_a_batch_is_a_list_of_whole_mails_with_our_ids() -> None:
    request = ADAPTER.build(a_batch([{"s1": "Bo", "t1": "Bo"}, {"s1": "Al", "t1": "Al"}]))

    mails = json.loads(request.body)
    assert (request.path, request.headers["Authorization"]) == ("/emails/batch", "Bearer re_k")
    assert [(mail["to"], mail["subject"], mail["text"]) for mail in mails] == [
        (["R0 <r0@example.org>"], "Hi Bo", "Hi Bo"),
        (["R1 <r1@example.org>"], "Hi Al", "Hi Al"),
    ]
    ours = {"mailroom-run": "run-1", "mailroom-dispatch": "run-1-d0__ab", "mailroom-attempt": "2"}
    assert [tags_in(mail) for mail in mails] == [ours, ours]
    assert request.recipients == ("r0@example.org", "r1@example.org")


def test_the_key_belongs_to_one_attempt_and_a_new_attempt_has_a_new_one() -> None:
    parts = [{"s1": "Bo", "t1": "Bo"}]

    keys = [ADAPTER.build(a_batch(parts, attempt)).headers["Idempotency-Key"] for attempt in (1, 1, 2)]

    assert keys[0] == keys[1] != keys[2]
    assert keys[2] == "run-1-d0.ab/2"
    assert ADAPTER.build_letter(a_letter()).headers["Idempotency-Key"] == "em_1-d0/1"


def test_too_many_bytes_for_a_call_go_in_parts() -> None:
    megabyte = {"s1": "Bo", "t1": "x" * 1024 * 1024}

    with pytest.raises(SendInParts) as caught:
        ADAPTER.build(a_batch([megabyte] * 20))

    assert caught.value.at_most == 7


def test_a_mail_names_its_places_and_a_part_of_it_only_those_who_are_left() -> None:
    def places(*recipients: str) -> dict[str, list[str]]:
        mail = json.loads(ADAPTER.build_letter(a_letter(*recipients)).body)
        return {place: mail[place] for place in ("to", "cc", "bcc") if place in mail}

    everybody = ("a@example.org", "b@example.org", "c@example.org")
    assert places(*everybody) == {"to": ["Ann A <a@example.org>"], "cc": ["b@example.org"], "bcc": ["c@example.org"]}
    assert places("b@example.org", "c@example.org") == {"to": ["b@example.org"], "bcc": ["c@example.org"]}
    # Nobody of bcc sees another one.
    with pytest.raises(SendInParts):
        places("c@example.org", "d@example.org")


@pytest.mark.parametrize(
    ("filename", "content_type", "sent"),
    [
        ("l.png", "image/png", "image/png"),
        ("notes", "text/csv", "text/csv"),
        ("a.txt", "text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("data.txt", "text/csv", None),
    ],
)
def test_a_file_whose_name_says_another_type_goes_by_its_name(
    filename: str, content_type: str, sent: str | None
) -> None:
    file = {"filename": filename, "content_type": content_type, "content": "YQ==", "content_id": "logo"}

    mail = json.loads(ADAPTER.build_letter(a_letter(attachments=[file], headers={"X-A": "1"})).body)

    (attachment,) = mail["attachments"]
    assert attachment.get("content_type") == sent
    assert (attachment["filename"], attachment["content"], attachment["content_id"]) == (filename, "YQ==", "logo")
    assert mail["headers"] == {"X-A": "1"}


@pytest.mark.parametrize("count", [1, 2, MAX_MAIL_RECIPIENTS])
def test_all_recipients_of_a_mail_to_several_come_back_in_its_tags(count: int) -> None:
    recipients = [f"{'x' * 60}{n:02}@{'y' * 185}.org" for n in range(count)]

    tags = tags_of(RunId("r"), DispatchId("d"), 1, recipients)

    assert len(tags) <= 75
    assert all(len(tag["value"]) <= 256 and tag["value"].replace("-", "").replace("_", "").isalnum() for tag in tags)
    assert recipients_in({tag["name"]: tag["value"] for tag in tags}) == (recipients if count > 1 else [])


def no(name: str, message: str) -> dict[str, Any]:
    return {"statusCode": 400, "name": name, "message": message}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"id": "id-1"}, "id-1"),
        (201, {"id": "id-1"}, "id-1"),
        (200, {"id": ""}, InDoubt),
        (200, {"data": [{"id": "id-1"}]}, InDoubt),
        (422, no("validation_error", "Invalid `to` field. The email address needs to follow the format."), "recipient"),
        (422, no("validation_error", "[3].cc: invalid"), "recipient"),
        (422, no("invalid_from_address", "Invalid `from` field: ann@foo.to"), "permanent"),
        (422, no("missing_required_field", "Missing `subject` field."), "permanent"),
        (400, no("invalid_idempotency_key", "The key must be between 1-256 chars."), "permanent"),
        (401, no("missing_api_key", "Missing API key"), "account"),
        (403, no("invalid_api_key", "API key is invalid"), "account"),
        (403, no("validation_error", "The mg.example.com domain is not verified."), "temporary"),
        (451, no("security_error", "We may have found a security issue"), "temporary"),
        (404, no("not_found", "The requested endpoint does not exist"), "account"),
        (429, no("rate_limit_exceeded", "Too many requests"), "account"),
        (413, {}, "permanent"),
        (409, no("invalid_idempotent_request", "Same idempotency key used with a different payload"), InDoubt),
        (409, no("concurrent_idempotent_requests", "Same idempotency key used while in progress"), InDoubt),
        (422, {"message": "a gateway's words"}, InDoubt),
        (408, no("x", "timeout"), InDoubt),
        (500, no("application_error", "An unexpected error occurred"), InDoubt),
    ],
)
def test_an_answer_becomes_the_outcome_that_it_means(status: int, body: Any, expected: Any) -> None:
    found = read_reply(Reply(status, {"retry-after": "9"}, json.dumps(body).encode()), now=NOW)

    if isinstance(expected, type):
        assert isinstance(found, expected)
    elif isinstance(found, Refused):
        assert found.kind == Refusal(expected)
        assert found.retry_after == (timedelta(seconds=9) if found.kind is Refusal.ACCOUNT else None)
    else:
        assert found == Accepted(expected)


@pytest.mark.parametrize("name", ["daily_quota_exceeded", "monthly_quota_exceeded"])
def test_a_quota_that_is_used_up_means_a_longer_pause(name: str) -> None:
    refused = read_reply(Reply(429, {}, json.dumps(no(name, "You have reached your email sending quota.")).encode()))

    assert isinstance(refused, Refused)
    assert (refused.kind, refused.retry_after, refused.is_brief) == (Refusal.ACCOUNT, LATER, False)


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        ({"data": [{"id": "a"}, {"id": "b"}]}, True),
        ({"data": [{"id": "a"}]}, False),
        ({"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}, False),
        ({"data": [{"id": "a"}, {}]}, False),
        ({"data": [{"id": "a"}, {"id": "b"}], "errors": [{"index": 1, "message": "invalid"}]}, False),
        ({"data": None}, False),
        ({"id": "a"}, False),
    ],
)
def test_a_batch_is_accepted_only_with_an_id_for_each_mail(body: Any, accepted: bool) -> None:
    outcome = read_reply(BatchReply(200, {}, json.dumps(body).encode(), ("r0@example.org", "r1@example.org")))

    assert outcome == Accepted("a") if accepted else isinstance(outcome, InDoubt)


def signature(body: bytes, *, id_: str = "msg_1", at: datetime = NOW, secret: str = SECRET) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    words = f"{id_}.{int(at.timestamp())}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, words, hashlib.sha256).digest()).decode()}"


def delivered(body: bytes, given: str, *, id_: str = "msg_1", at: datetime = NOW) -> Delivery:
    headers = {"svix-id": id_, "svix-timestamp": str(int(at.timestamp())), "svix-signature": given}
    return Delivery(body, headers, NOW)


def test_svixs_own_example_is_verified() -> None:
    """docs.svix.com/receiving/verifying-payloads/how-manual (read 2026-11)."""
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = {
        "svix-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "svix-timestamp": "1614265330",
        "svix-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }

    face = ResendWebhooks(secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])

    assert face.verify(Delivery(b'{"test": 2432232314}', headers, at)).document["event"] == {"test": 2432232314}


def test_a_signature_holds_for_this_body_id_and_time_alone() -> None:
    older = f"whsec_{base64.b64encode(b'a key that came before it').decode()}"
    face, body = ResendWebhooks(secrets=[SECRET, older]), b'{"type": "email.sent"}'
    other = f"whsec_{base64.b64encode(b'another key of 24 bytes.').decode()}"
    fits = signature(body)

    # While a secret is changed there are several signatures, and versions of later years beside them.
    for given in (
        fits,
        signature(body, secret=older),
        f"{signature(body, secret=other)} {fits}",
        f"v2,x v1a,{fits[3:]} {fits}",
    ):
        assert face.verify(delivered(body, given)).document["id"] == "msg_1"
    for delivery in (
        delivered(body + b" ", fits),
        delivered(body, fits, id_="msg_2"),
        delivered(body, fits, at=NOW + timedelta(seconds=1)),
        delivered(body, signature(body, secret=other)),
        delivered(body, f"v2,{fits[3:]}"),
        delivered(body, "v1,\ud83d"),
        delivered(body, ""),
        Delivery(body, {}, NOW),
    ):
        with pytest.raises(BadSignature):
            face.verify(delivery)


@pytest.mark.parametrize(("off_s", "fresh"), [(0, True), (299, True), (-299, True), (301, False), (-301, False)])
def test_a_signature_of_another_time_is_stale(off_s: int, fresh: bool) -> None:
    face, body, at = ResendWebhooks(secrets=[SECRET]), b"{}", NOW + timedelta(seconds=off_s)
    delivery = delivered(body, signature(body, at=at), at=at)

    if fresh:
        assert face.verify(delivery)
    else:
        with pytest.raises(Stale):
            face.verify(delivery)


def an_event(type_: str, **data: Any) -> dict[str, Any]:
    tags = {"mailroom-run": "em_1", "mailroom-dispatch": "em_1-d0__ab", "mailroom-attempt": "1"}
    whole = {"email_id": "e-1", "to": ["bo@example.org"], "tags": tags, **data}
    return {"type": type_, "created_at": "2026-11-22T23:41:12.126Z", "data": whole}


def bounce(type_: str, sub_type: str, *diagnosis: str) -> dict[str, Any]:
    advice = "Sending to addresses that bounce can have a negative impact on your reputation as a sender."
    return {"bounce": {"type": type_, "subType": sub_type, "message": advice, "diagnosticCode": list(diagnosis)}}


@pytest.mark.parametrize(
    ("raw", "kind", "hard"),
    [
        (an_event("email.sent"), EventKind.ACCEPTED, False),
        (an_event("email.delivered"), EventKind.DELIVERED, False),
        (an_event("email.delivery_delayed"), EventKind.DEFERRED, False),
        (an_event("email.complained"), EventKind.COMPLAINED, False),
        (an_event("email.opened"), EventKind.OPENED, False),
        (an_event("email.clicked"), EventKind.CLICKED, False),
        (an_event("email.failed", failed={"reason": "reached_daily_quota"}), EventKind.FAILED, False),
        (an_event("email.suppressed", suppressed={"reason": "previous_bounce"}), EventKind.REJECTED, False),
        (an_event("email.bounced", **bounce("Permanent", "General", "smtp; 550 5.1.1 user unknown")), "bounced", True),
        (an_event("email.bounced", **bounce("Permanent", "General")), EventKind.BOUNCED, True),
        (an_event("email.bounced", **bounce("Permanent", "NoEmail", "550 gone")), EventKind.BOUNCED, True),
        (an_event("email.bounced", **bounce("Permanent", "General", "550 5.7.1 block list")), "bounced", False),
        (an_event("email.bounced", **bounce("Permanent", "OnAccountSuppressionList")), EventKind.REJECTED, False),
        (an_event("email.bounced", **bounce("Transient", "MailboxFull")), EventKind.BOUNCED, False),
        (an_event("email.bounced", **bounce("Transient", "General")), EventKind.DEFERRED, False),
        (an_event("email.bounced"), EventKind.BOUNCED, False),
        (an_event("email.something_new"), EventKind.UNKNOWN, False),
    ],
)
def test_an_event_is_read_in_our_words(raw: dict[str, Any], kind: str, hard: bool) -> None:
    (event,) = parse("msg_1", raw, NOW)

    assert (event.kind, event.hard, event.recipient) == (kind, hard, "bo@example.org")
    assert (event.run_id, event.dispatch_id, event.provider_id) == ("em_1", "em_1-d0.ab", "e-1")
    assert (event.id, event.at) == ("resend/msg_1/0", datetime(2026, 11, 22, 23, 41, 12, 126000, tzinfo=UTC))
    assert json.loads(event.raw) == raw


@pytest.mark.parametrize("type_", ["contact.created", "domain.updated", "email.received"])
def test_what_is_about_no_mail_of_ours_is_no_event(type_: str) -> None:
    assert parse("msg_1", an_event(type_), NOW) == []


def test_of_a_mail_to_several_only_what_concerns_the_whole_mail_names_anybody() -> None:
    recipients = ["bo@example.org", "cy@example.org", "di@example.org"]
    tags = {tag["name"]: tag["value"] for tag in tags_of(RunId("em_1"), DispatchId("em_1-d0"), 1, recipients)}

    def named(type_: str, **data: Any) -> list[tuple[str, bool]]:
        return [(one.recipient, one.hard) for one in parse("msg_1", an_event(type_, tags=tags, **data), NOW)]

    assert named("email.sent") == named("email.failed") == [(address, False) for address in recipients]
    for type_ in ("email.delivered", "email.opened", "email.complained", "email.suppressed"):
        assert named(type_) == [("", False)]
    assert named("email.bounced", **bounce("Permanent", "NoEmail", "550 5.1.1 user unknown")) == [("", False)]
    assert len({one.id for one in parse("msg_1", an_event("email.sent", tags=tags), NOW)}) == 3


def test_an_event_that_names_several_and_brings_no_tags_is_held_against_nobody() -> None:
    raw = an_event("email.bounced", tags={}, to=["a@example.org", "b@example.org"], **bounce("Permanent", "NoEmail"))

    (event,) = parse("msg_1", raw, NOW)

    assert (event.recipient, event.hard, event.run_id, event.dispatch_id) == ("", False, None, None)


def test_the_tags_of_earlier_years_are_a_list() -> None:
    (event,) = parse("msg_1", an_event("email.sent", tags=[{"name": "mailroom-run", "value": "em_1"}, 7]), NOW)

    assert event.run_id == "em_1"


@pytest.mark.parametrize("document", [None, [], {}, {"type": 5}, "x"])
def test_what_is_no_event_is_refused(document: Any) -> None:
    with pytest.raises(Malformed):
        parse("msg_1", document, NOW)


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "email.sent"},
        {"type": "email.sent", "data": [], "created_at": 5},
        {"type": "email.bounced", "data": {"to": {"a": 1}, "tags": 7, "bounce": {"diagnosticCode": 7}}},
        {"type": "email.sent", "data": {"tags": {"mailroom-to-0": "%", "mailroom-run": 5}}, "created_at": "soon"},
    ],
)
def test_what_cannot_be_read_of_an_event_is_kept_as_it_came(odd: dict[str, Any]) -> None:
    (event,) = parse("msg_1", odd, NOW)

    assert json.loads(event.raw) == odd
    assert (event.at, event.run_id, event.recipient, event.hard) == (NOW, None, "", False)
