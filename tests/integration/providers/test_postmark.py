"""Postmark: what is asked of it, what its answers mean, and its events.

The payloads of its webhooks are its own samples (postmarkapp.com/developer/webhooks, read 2026-11), cut down.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, InPart, Refusal, Refused
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.events import EventKind
from mailroom.domain.ids import AudienceId, DispatchId, MessageId, RunId
from mailroom.domain.messages.model import Message
from mailroom.domain.schedules import Content
from mailroom.providers.base import Batch, Letter, SendInParts
from mailroom.providers.batches import BatchReply
from mailroom.providers.connection import Reply
from mailroom.providers.postmark.codes import read_reply
from mailroom.providers.postmark.sending import PostmarkAdapter
from mailroom.providers.postmark.webhooks import PostmarkWebhooks, parse
from mailroom.providers.webhooks import BadSignature, Delivery, Malformed

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
SECRET = "a-secret-of-tests-1"
ADAPTER = PostmarkAdapter(
    base_url="https://api.postmarkapp.com",
    server_token="token",
    transactional_stream="outbound",
    broadcast_stream="news",
    call_timeout_s=5,
    idle_limit_s=60,
)
LONG_RUN = RunId("sch_0123456789abcdef01-again-0123456789-0123456789abcdef")
LONG_DISPATCH = DispatchId(f"{LONG_RUN}-d1000000g999999.0123456789ab")


def a_batch(parts: list[dict[str, str]], **changes: Any) -> Batch:
    fields: dict[str, Any] = {"sender": "Ann <ann@mg.example.com>", "subject": "Hi {{ name }}", "text": "Hi {{ name }}"}
    content = Content(**fields | {"html": "", "audience": AudienceId("a"), "recipients": len(parts)} | changes)
    messages = [
        Message(MessageId(f"m{n}"), LONG_RUN, LONG_DISPATCH, f"r{n}@example.org", f"R{n}", each)
        for n, each in enumerate(parts)
    ]
    return Batch(LONG_DISPATCH, 2, LONG_RUN, content, messages, NOW)


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


def test_a_batch_is_a_list_of_whole_mails_by_the_broadcast_stream() -> None:
    request = ADAPTER.build(a_batch([{"s1": "Bo", "t1": "Bo"}, {"s1": "Al", "t1": "Al"}], tags=("a", "b")))

    mails = json.loads(request.body)
    assert (request.path, request.headers["X-Postmark-Server-Token"]) == ("/email/batch", "token")
    assert [(mail["To"], mail["Subject"], mail["TextBody"]) for mail in mails] == [
        ("R0 <r0@example.org>", "Hi Bo", "Hi Bo"),
        ("R1 <r1@example.org>", "Hi Al", "Hi Al"),
    ]
    assert {mail["MessageStream"] for mail in mails} == {"news"}
    assert {mail["Tag"] for mail in mails} == {"a"}
    assert request.recipients == ("r0@example.org", "r1@example.org")


def test_the_longest_ids_fit_into_metadata_and_come_back_with_an_event() -> None:
    metadata = json.loads(ADAPTER.build(a_batch([{"s1": "Bo", "t1": "Bo"}])).body)[0]["Metadata"]

    (event,) = parse({"RecordType": "Delivery", "Recipient": "r0@example.org", "Metadata": metadata}, NOW)

    assert len(LONG_DISPATCH) > 80
    assert all(len(name) <= 20 and len(value) <= 80 for name, value in metadata.items())
    assert (event.run_id, event.dispatch_id) == (LONG_RUN, LONG_DISPATCH)


def test_too_many_bytes_for_a_call_go_in_parts_and_too_many_for_a_mail_are_refused() -> None:
    megabyte = {"s1": "Bo", "t1": "x" * 1024 * 1024}

    with pytest.raises(SendInParts) as caught:
        ADAPTER.build(a_batch([megabyte] * 20))
    with pytest.raises(ValueError, match="Postmark takes mails of up to 10,485,760 bytes"):
        content = base64.b64encode(b"x" * 9 * 1024 * 1024).decode()
        ADAPTER.build_letter(a_letter(attachments=[{"filename": "x.bin", "content": content}]))

    assert caught.value.at_most == 7
    assert len(json.loads(ADAPTER.build(a_batch([megabyte] * 7)).body)) == 7


def test_a_mail_names_its_places_and_a_part_of_it_only_those_who_are_left() -> None:
    def places(*recipients: str) -> dict[str, str]:
        mail = json.loads(ADAPTER.build_letter(a_letter(*recipients)).body)
        return {place: mail[place] for place in ("To", "Cc", "Bcc") if place in mail}

    everybody = ("a@example.org", "b@example.org", "c@example.org")
    assert places(*everybody) == {"To": "Ann A <a@example.org>", "Cc": "b@example.org", "Bcc": "c@example.org"}
    assert places("b@example.org", "c@example.org") == {"To": "b@example.org", "Bcc": "c@example.org"}
    assert places("c@example.org") == {"To": "c@example.org"}
    # Nobody of bcc sees another one.
    with pytest.raises(SendInParts) as caught:
        places("c@example.org", "d@example.org")
    assert caught.value.at_most == 1


def test_a_mail_carries_headers_and_files_by_the_transactional_stream() -> None:
    file = {"filename": "l.png", "content_type": "image/png", "content": "YQ==", "content_id": "logo"}

    mail = json.loads(ADAPTER.build_letter(a_letter(headers={"X-A": "1"}, attachments=[file], html="<p>")).body)

    assert mail["MessageStream"] == "outbound"
    assert mail["Headers"] == [{"Name": "X-A", "Value": "1"}]
    assert mail["Attachments"] == [
        {"Name": "l.png", "Content": "YQ==", "ContentType": "image/png", "ContentID": "cid:logo"}
    ]
    assert mail["Metadata"] == {"mailroom_run": "em_1", "mailroom_dispatch": "-d0", "mailroom_attempt": "1"}


def no(code: int, message: str) -> dict[str, Any]:
    return {"ErrorCode": code, "Message": message}


def yes(to: str, id_: str = "id-1") -> dict[str, Any]:
    return {"To": to, "SubmittedAt": "2026-11-23T08:00:00Z", "MessageID": id_, "ErrorCode": 0, "Message": "OK"}


INACTIVE = (
    "You tried to send to a recipient that has been marked as inactive.\nFound inactive addresses: b@example.org."
)
DELAYED = {"Message": "Message accepted, but delivery may be delayed.", "MessageID": "id-1", "To": "a@example.org"}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, yes("a@example.org"), "id-1"),
        (200, DELAYED, "id-1"),
        (200, yes("a@example.org") | {"MessageID": ""}, InDoubt),
        (200, {"ErrorCode": 0, "Message": "OK"}, InDoubt),
        (200, [yes("a@example.org")], InDoubt),
        (200, yes("a@example.org") | {"ErrorCode": "0"}, InDoubt),
        (422, no(300, "Invalid 'To' address: 'invalid@localhost'."), "recipient"),
        (422, no(300, "Error parsing 'Cc': Illegal email domain '+' in address 'user@+'."), "recipient"),
        (422, no(300, "Invalid 'From' address: 'invalid@localhost'."), "permanent"),
        (422, no(300, "Error parsing 'Reply-To': Illegal email domain '+' in address 'x@+'."), "permanent"),
        (422, no(406, INACTIVE), "recipient"),
        (422, no(411, "Forbidden attachment type"), "permanent"),
        (422, no(400, "The 'From' address you supplied is not a Sender Signature."), "temporary"),
        (422, no(401, "Sender signature not confirmed"), "temporary"),
        (422, no(100, "Maintenance"), "temporary"),
        (422, no(405, "Not allowed to send: you ran out of credits"), "account"),
        (422, no(412, "Account is pending"), "account"),
        (422, no(413, "Account may not send"), "account"),
        (422, no(1235, "The 'MessageStream' provided does not exist on this server."), "account"),
        (401, no(10, "The Server Token you provided is not valid."), "account"),
        (413, no(0, "too large"), "permanent"),
        (429, no(429, "Rate limit exceeded"), "account"),
        (403, "<html>a network's filter</html>", InDoubt),
        (422, no(0, "OK"), InDoubt),
        (422, {"Message": "no code"}, InDoubt),
        (408, no(300, "timeout"), InDoubt),
        (500, no(300, "oops"), InDoubt),
        (503, no(100, "Maintenance"), InDoubt),
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


def test_a_mail_accepted_but_for_some_addresses_is_accepted_in_part() -> None:
    words = (
        "Message OK, but will not deliver to these inactive addresses: b@example.org, c@example.org."
        " Inactive recipients are ones that have generated a hard bounce or a spam complaint."
    )

    part = read_reply(Reply(200, {}, json.dumps(yes("a@example.org") | {"Message": words}).encode()))
    unnamed = read_reply(
        Reply(200, {}, json.dumps(yes("a@example.org") | {"Message": "OK, but will not deliver to some."}).encode())
    )

    assert isinstance(part, InPart)
    assert part.provider_id == "id-1"
    assert {address: why.kind for address, why in part.refused.items()} == {
        "b@example.org": Refusal.RECIPIENT,
        "c@example.org": Refusal.RECIPIENT,
    }
    assert not any(why.hard for why in part.refused.values())
    assert isinstance(unnamed, InDoubt)


def of_batch(*results: Any, count: int | None = None) -> Any:
    recipients = tuple(f"r{n}@example.org" for n in range(len(results) if count is None else count))
    return read_reply(BatchReply(200, {}, json.dumps(results).encode(), recipients))


def test_each_result_of_a_batch_belongs_to_the_recipient_of_its_place() -> None:
    refused = no(406, "You tried to send to a recipient that has been marked as inactive.")

    assert of_batch(yes("r0@example.org", "a"), yes("R1 <R1@example.org>", "b")) == Accepted("a")
    part = of_batch(yes("r0@example.org", "a"), refused, no(300, "Invalid 'To' address: 'x'."))
    assert isinstance(part, InPart)
    assert (part.provider_id, list(part.refused)) == ("a", ["r1@example.org", "r2@example.org"])


def test_what_all_results_of_a_batch_share_is_the_answer_to_the_call() -> None:
    broke = of_batch(no(405, "no credits"), no(405, "no credits"))
    nobody = of_batch(no(406, "inactive"), no(406, "inactive"))
    alone = of_batch(no(406, "inactive"))

    assert (broke.kind, alone.kind) == (Refusal.ACCOUNT, Refusal.RECIPIENT)
    assert isinstance(nobody, InPart)
    assert (nobody.provider_id, len(nobody.refused)) == ("", 2)


@pytest.mark.parametrize(
    "results",
    [
        [],
        [yes("r0@example.org")],
        [yes("r0@example.org"), yes("r1@example.org"), yes("r2@example.org")],
        [yes("r1@example.org"), yes("r0@example.org")],
        [yes("r0@example.org"), {}],
        [yes("r0@example.org"), None],
        [yes("r0@example.org"), {"ErrorCode": None, "Message": "?"}],
        [no(405, "no credits"), {"Message": "no code, no id"}],
    ],
)
def test_a_batch_of_which_one_result_cannot_be_read_is_in_doubt_as_a_whole(results: list[Any]) -> None:
    assert isinstance(of_batch(*results, count=2), InDoubt)


def signed(user: str, password: str, scheme: str = "Basic") -> dict[str, str]:
    return {"authorization": f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_only_the_password_of_the_targets_url_is_believed() -> None:
    face = PostmarkWebhooks(secrets=["an-older-one-of-ours", SECRET])
    body = b'{"RecordType": "Delivery"}'

    for headers in (signed("mailroom", SECRET), signed("mailroom", SECRET, "basic")):
        assert face.verify(Delivery(body, headers, NOW)).document == {"RecordType": "Delivery"}
    for headers in (
        {},
        {"authorization": SECRET},
        {"authorization": "Basic \ud83d"},
        signed("mailroom", "another"),
        signed("somebody", SECRET),
        signed("mailroom", SECRET, "Bearer"),
    ):
        with pytest.raises(BadSignature):
            face.verify(Delivery(body, headers, NOW))


BOUNCE = {
    "RecordType": "Bounce",
    "ID": 901542550,
    "Type": "HardBounce",
    "MessageID": "2706ee8a",
    "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist.",
    "Email": "bo@example.org",
    "BouncedAt": "2026-11-22T16:28:50.3963933-04:00",
}


@pytest.mark.parametrize(
    ("raw", "kind", "hard"),
    [
        ({"RecordType": "Delivery", "Recipient": "bo@example.org"}, EventKind.DELIVERED, False),
        ({"RecordType": "Open", "Recipient": "bo@example.org"}, EventKind.OPENED, False),
        ({"RecordType": "Click", "Recipient": "bo@example.org"}, EventKind.CLICKED, False),
        ({"RecordType": "SpamComplaint", "Email": "bo@example.org"}, EventKind.COMPLAINED, False),
        (BOUNCE, EventKind.BOUNCED, True),
        (BOUNCE | {"Details": ""}, EventKind.BOUNCED, True),
        (BOUNCE | {"Details": "550 5.7.1 on our block list"}, EventKind.BOUNCED, False),
        (BOUNCE | {"Type": "SoftBounce", "Details": "552 mailbox full"}, EventKind.BOUNCED, False),
        (BOUNCE | {"Type": "SoftBounce", "Details": ""}, EventKind.BOUNCED, False),
        (BOUNCE | {"Type": "Blocked"}, EventKind.BOUNCED, False),
        (BOUNCE | {"Type": "DMARCPolicy"}, EventKind.BOUNCED, False),
        (BOUNCE | {"Type": "Transient"}, EventKind.DEFERRED, False),
        (BOUNCE | {"Type": "AutoResponder"}, EventKind.FEEDBACK, False),
        (BOUNCE | {"Type": "BadEmailAddress"}, EventKind.REJECTED, False),
        (BOUNCE | {"Type": "TemplateRenderingFailed"}, EventKind.FAILED, False),
        (BOUNCE | {"Type": "something new"}, EventKind.UNKNOWN, False),
        ({"RecordType": "something new", "Recipient": "bo@example.org"}, EventKind.UNKNOWN, False),
        ({"Recipient": "bo@example.org"}, EventKind.UNKNOWN, False),
    ],
)
def test_an_event_is_read_in_our_words(raw: dict[str, Any], kind: EventKind, hard: bool) -> None:
    metadata = {"mailroom_run": "em_1", "mailroom_dispatch": "-d0"}

    (event,) = parse(raw | {"Metadata": metadata}, NOW)

    assert (event.kind, event.hard, event.recipient) == (kind, hard, "bo@example.org")
    assert (event.run_id, event.dispatch_id) == ("em_1", "em_1-d0")
    assert json.loads(event.raw) == raw | {"Metadata": metadata}


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"SuppressionReason": "ManualSuppression", "Origin": "Recipient"}, [EventKind.UNSUBSCRIBED]),
        ({"SuppressionReason": "ManualSuppression", "Origin": "Customer"}, [EventKind.FEEDBACK]),
        ({"SuppressionReason": "HardBounce", "Origin": "Recipient"}, []),
        ({"SuppressionReason": "SpamComplaint", "Origin": "Recipient"}, []),
        ({"SuppressSending": False, "SuppressionReason": None}, [EventKind.RESUBSCRIBED]),
    ],
)
def test_a_change_of_postmarks_own_list_is_an_unsubscribe_only_if_the_reader_asked(
    changes: dict[str, Any], kinds: list[EventKind]
) -> None:
    raw = {"RecordType": "SubscriptionChange", "SuppressSending": True, "ChangedAt": "2026-11-22T17:17:32Z"}

    events = parse(raw | {"Recipient": "bo@example.org", "MessageID": None} | changes, NOW)

    assert [event.kind for event in events] == kinds
    assert all(event.recipient == "bo@example.org" for event in events)


def test_an_event_comes_with_its_time_and_an_id_that_a_retry_repeats() -> None:
    opened = {"RecordType": "Open", "Recipient": "bo@example.org", "ReceivedAt": "2026-11-22T16:21:41.2493688-04:00"}

    (bounce,), (again,) = parse(BOUNCE, NOW), parse(BOUNCE | {"CanActivate": False}, NOW)
    (first,), (retry,), (later,) = (
        parse(raw, NOW) for raw in (opened, dict(reversed(opened.items())), opened | {"ReceivedAt": None})
    )

    assert bounce.id == again.id == "postmark/Bounce/901542550"
    assert bounce.at == datetime(2026, 11, 22, 20, 28, 50, 396000, tzinfo=UTC)
    assert first.id == retry.id != later.id
    assert later.at == NOW


@pytest.mark.parametrize("document", [None, [], 7, "x"])
def test_what_is_no_object_is_refused(document: Any) -> None:
    with pytest.raises(Malformed):
        parse(document, NOW)


@pytest.mark.parametrize(
    "odd",
    [
        {"RecordType": 5, "Recipient": ["a"], "Metadata": [], "ID": True},
        {"RecordType": "Bounce", "Type": {}, "ID": 2**70, "BouncedAt": "2026-11-22T10:00:00"},
        {"RecordType": "Open", "Metadata": {"mailroom_run": 5, "mailroom_dispatch": "x" * 999}},
    ],
)
def test_what_cannot_be_read_of_an_event_is_kept_as_it_came(odd: dict[str, Any]) -> None:
    (event,) = parse(odd, NOW)

    assert json.loads(event.raw) == odd
    assert (event.at, event.run_id, event.dispatch_id, event.recipient) == (NOW, None, None, "")
