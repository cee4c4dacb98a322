"""Mailgun's adapter: what is asked, and what each answer means (shared/reference/providers.md, section 1)."""

import json
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import Message as Mail
from typing import Any

import pytest

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Outcome, Refusal, Refused
from mailroom.domain.events import EventKind, suppresses
from mailroom.domain.ids import AudienceId, DispatchId, MessageId, RunId
from mailroom.domain.messages.model import Message
from mailroom.domain.schedules import Content
from mailroom.providers.base import Batch
from mailroom.providers.connection import Reply
from mailroom.providers.mailgun.codes import read_reply
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.providers.mailgun.webhooks import parse, parse_event

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def reply(status: int, body: Any, **headers: str) -> Reply:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (
            reply(200, {"id": "<a@mg>", "message": "Queued. Thank you."}),
            Accepted("a@mg", code=200, reason="Queued. Thank you."),
        ),
        (reply(200, {"id": "<a@mg>"}), Accepted("a@mg", code=200)),
        (reply(200, {"id": "<a@mg>", "message": "half \ud83d"}), Accepted("a@mg", code=200, reason="half \ufffd")),
        (reply(200, b"Mailgun Magnificent API"), InDoubt),
        (reply(200, b'{"id": "<a@mg'), InDoubt),
        (reply(200, {"id": 5}), InDoubt),
        (reply(200, b"[" * 100_000), InDoubt),
        (reply(202, {"id": "<a@mg>"}), InDoubt),
        (reply(400, {"message": "to parameter is not a valid address. please check documentation"}), Refusal.RECIPIENT),
        (
            reply(400, {"message": "'to' parameter is not a valid address. please check documentation"}),
            Refusal.RECIPIENT,
        ),
        (reply(400, {"message": "from parameter is not a valid address"}), Refusal.PERMANENT),
        (reply(400, {"message": "'recipient-variables' parameter is not a valid JSON"}), Refusal.PERMANENT),
        (reply(400, {"message": "Domain mg is not allowed to send: not verified"}), Refusal.ACCOUNT),
        (reply(401, b"Forbidden"), Refusal.ACCOUNT),
        (reply(402, {"message": "x"}), Refusal.ACCOUNT),
        (reply(403, {"message": "Domain x is not allowed to send large batches yet"}), Refusal.ACCOUNT),
        (reply(404, {"message": "Domain not found: x"}), Refusal.ACCOUNT),
        (reply(413, {"message": "too large"}), Refusal.PERMANENT),
        (reply(429, {"message": "limit exceeded, try again after 120 seconds"}), Refusal.ACCOUNT),
        (reply(400, b"<html>proxy</html>"), InDoubt),
        (reply(408, {"message": "timeout"}), InDoubt),
        (reply(499, {"message": "closed"}), InDoubt),
        (reply(500, {"message": "Internal Server Error"}), InDoubt),
        (reply(502, b"bad gateway"), InDoubt),
        (reply(307, b""), InDoubt),
    ],
)
def test_only_mailguns_own_words_are_believed(answer: Reply, outcome: object) -> None:
    found: Outcome = read_reply(answer, now=NOW)

    if isinstance(outcome, Accepted):
        assert found == outcome
    elif isinstance(outcome, Refusal):
        assert isinstance(found, Refused)
        assert found.kind is outcome
    else:
        assert isinstance(found, InDoubt)


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (reply(429, {"message": "x"}, retry_after="7"), timedelta(seconds=7)),
        (reply(429, {"message": "x"}, x_ratelimit_reset=str(int(NOW.timestamp()) + 9)), timedelta(seconds=9)),
        (reply(429, {"message": "limit exceeded, try again after 120 seconds"}), timedelta(seconds=120)),
        (reply(429, {"message": "exceeded, try again after Mon, 23 Nov 2026 09:00:00 GMT"}), timedelta(hours=1)),
        (reply(429, {"message": "x"}, x_ratelimit_reset="1764000000000"), None),
        (reply(429, {"message": "x"}, retry_after="9" * 15), None),
        (reply(429, {"message": "x"}, retry_after="soon"), None),
    ],
)
def test_the_wait_that_mailgun_names_is_read_from_wherever_it_stands(answer: Reply, wait: timedelta | None) -> None:
    found = read_reply(answer, now=NOW)

    assert isinstance(found, Refused)
    assert found.retry_after == wait


def test_mailguns_words_can_always_be_stored() -> None:
    found = read_reply(reply(400, b'{"message": "\\ud83d' + b"x" * 9_000 + b'"}'))

    assert isinstance(found, Refused)
    assert len(found.reason.encode()) < 1_000


def a_batch(**changes: Any) -> Batch:
    content = Content(
        sender="Ann <ann@mg.example.com>",
        subject="Hi {{ name }}",
        text="Text for {{ name }}",
        html="<p>{{ name }}</p>",
        audience=AudienceId("aud"),
        recipients=2,
        reply_to="help@example.com",
        tags=("news",),
    )
    people = [("bo@example.org", "Bo, Jr", {"s1": "Bo"}), ("cy@example.org", "", {"s1": "Cy"})]
    messages = [
        Message(MessageId(f"m{n}"), RunId("run-1"), DispatchId("run-1-d0"), address, name, parts)
        for n, (address, name, parts) in enumerate(people)
    ]
    return Batch(DispatchId("run-1-d0"), 2, RunId("run-1"), content, messages, NOW)


def fields(body: bytes, content_type: str) -> dict[str, list[str]]:
    mail: Mail = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    found: dict[str, list[str]] = {}
    for part in mail.get_payload():  # type: ignore[union-attr]
        name = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
        found.setdefault(str(name), []).append(part.get_payload(decode=True).decode())  # type: ignore[union-attr]
    return found


def test_one_call_carries_a_batch_with_what_differs_for_each_recipient() -> None:
    adapter = MailgunAdapter(
        domain="mg.example.com", base_url="https://api.eu.mailgun.net", api_key="k", call_timeout_s=5, idle_limit_s=60
    )

    request = adapter.build(a_batch())

    found = fields(request.body, request.headers["Content-Type"])
    assert request.path == "/v3/mg.example.com/messages"
    assert request.headers["Authorization"] == "Basic YXBpOms="
    assert found["to"] == ['"Bo, Jr" <bo@example.org>', "cy@example.org"]
    assert found["subject"] == ["Hi %recipient.s1%"]
    assert found["text"] == ["Text for %recipient.t1%"]
    assert found["h:Message-Id"] == ["<run-1-d0.mailroom@mg.example.com>"]
    assert found["h:Reply-To"] == ["help@example.com"]
    assert (found["v:run"], found["v:dispatch"], found["v:attempt"]) == (["run-1"], ["run-1-d0"], ["2"])
    assert found["o:tag"] == ["news"]
    assert json.loads(found["recipient-variables"][0])["bo@example.org"] == {"s1": "Bo"}


@pytest.mark.parametrize(
    ("raw", "kind", "hard"),
    [
        ({"event": "delivered"}, EventKind.DELIVERED, False),
        ({"event": "failed", "severity": "temporary"}, EventKind.DEFERRED, False),
        ({"event": "failed", "severity": "permanent", "reason": "bounce"}, EventKind.BOUNCED, True),
        (
            {
                "event": "failed",
                "severity": "permanent",
                "reason": "bounce",
                "delivery-status": {"enhanced-code": "5.7.1"},
            },
            EventKind.BOUNCED,
            False,
        ),
        ({"event": "failed", "severity": "permanent", "reason": "suppress-bounce"}, EventKind.REJECTED, False),
        ({"event": "failed"}, EventKind.UNKNOWN, False),
        ({"event": "something_new"}, EventKind.UNKNOWN, False),
    ],
)
def test_mailguns_words_become_ours(raw: dict[str, Any], kind: EventKind, hard: bool) -> None:
    event = parse_event({"id": "e", "timestamp": 1767268800.123, **raw}, "mg.example.com")

    assert (event.kind, event.hard) == (kind, hard)


def test_a_rejected_event_has_its_recipient_in_the_to_header() -> None:
    headers = {"to": '"Bo, X" <bo@example.org>'}
    raw = {"event": "rejected", "id": "e", "timestamp": 1767268800, "message": {"headers": headers}}

    assert parse_event(raw, "mg").recipient == "bo@example.org"


@pytest.mark.parametrize("bot", ["apple", "gmail", "generic"])
def test_an_open_by_a_machine_is_known_by_its_bot(bot: str) -> None:
    raw = {"event": "opened", "id": "e", "timestamp": 1767268800, "client-info": {"bot": bot}}

    assert parse_event(raw, "mg").by_machine


@pytest.mark.parametrize(
    ("status", "hard"),
    [
        ({"code": 550, "message": "5.7.1 on our block list"}, False),
        ({"code": 552, "message": "mailbox full"}, False),
        ({"code": 421, "message": "4.7.0 too many"}, False),
        ({"code": 550, "message": "", "description": "5.1.1 no such user"}, True),
        ({"code": 550, "message": "No such user"}, True),
        ({"code": "550", "message": "5.7.13 Disabled recipient address"}, True),
        ({"code": 550, "enhanced-code": "5.7.13"}, True),
        ({"code": 550, "enhanced-code": "5.1.1", "bounce-type": "soft"}, False),
        ({"code": 550, "message": "something"}, False),
        ({"code": 250, "bounce-code": "550", "message": "5.1.1 unknown"}, True),
        ({"code": 605, "message": "5.1.1"}, False),
        ({"code": True, "message": "no such user"}, True),
    ],
)
@pytest.mark.parametrize("reason", ["bounce", "generic", "hardfail"])
def test_a_bounce_is_hard_only_where_it_says_so_of_the_address(status: dict[str, Any], hard: bool, reason: str) -> None:
    raw = {"event": "failed", "severity": "permanent", "reason": reason, "delivery-status": status}

    assert parse_event({"id": "e", "timestamp": 1767268800, **raw}, "mg").hard is hard


@pytest.mark.parametrize("reason", ["espblock", "blacklisted", "greylisted", "old"])
def test_a_reason_that_blames_us_or_the_time_is_never_hard(reason: str) -> None:
    raw = {"event": "failed", "severity": "permanent", "reason": reason, "delivery-status": {"message": "5.1.1 x"}}

    assert not parse_event({"id": "e", "timestamp": 1767268800, **raw}, "mg").hard


@pytest.mark.parametrize(
    "client", [{"bot": "generic"}, {"bot": "gmail"}, {"bot": "apple"}, {"client-type": "robot"}, {}, None, {"bot": ""}]
)
def test_a_scanner_that_follows_the_link_unsubscribes_nobody(client: dict[str, str] | None) -> None:
    raw = {"event": "unsubscribed", "id": "e", "timestamp": 1767268800, "recipient": "bo@x.org", "client-info": client}

    event = parse_event(raw, "mg")

    by_machine = any((client or {}).values())
    assert event.kind is (EventKind.UNSUBSCRIBED_BY_MACHINE if by_machine else EventKind.UNSUBSCRIBED)
    assert (suppresses(event) is None) is by_machine


@pytest.mark.parametrize(
    "told",
    [
        {"event": "unsubscribed"},
        {"event": "unsubscribed", "id": 5, "timestamp": "soon"},
        {"event": "unsubscribed", "id": "", "timestamp": None},
        {"event": "unsubscribed", "id": "half \ud83d", "timestamp": 1767268800123},
        {"event": "something new"},
        {"event": ["opened"]},
        {},
    ],
)
def test_an_event_without_id_or_time_takes_them_from_its_signature(told: dict[str, Any]) -> None:
    signature = {"timestamp": "1767268800", "token": "t" * 50}

    event = parse({"signature": signature, "event-data": told}, "mg")

    assert event.at == datetime(2026, 1, 1, 12, tzinfo=UTC) or told.get("timestamp")
    assert event.id.encode()
    assert event.kind is (EventKind.UNSUBSCRIBED if told.get("event") == "unsubscribed" else EventKind.UNKNOWN)
