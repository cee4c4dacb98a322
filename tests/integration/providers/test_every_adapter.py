"""What every adapter must do, whatever its vendor: one suite for all."""

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes
from email.utils import getaddresses
from typing import Any

import pytest

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, Refusal, Refused
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.base import Letter
from mailroom.providers.connection import NotWritten, Reply
from mailroom.providers.smtp.dialogue import SmtpReply
from tests.support.adapters import ADAPTERS, NOW, a_batch

YES = {
    "mailgun": Reply(200, {}, b'{"id": "<x@mg.example.com>", "message": "Queued. Thank you."}'),
    "sendgrid": Reply(202, {"x-message-id": "x"}, b""),
    "ses": Reply(200, {}, b'{"MessageId": "0100-x"}'),
    "postmark": Reply(200, {}, b'{"MessageID": "x", "ErrorCode": 0, "Message": "OK"}'),
    "resend": Reply(200, {}, b'{"id": "x"}'),
    "smtp": SmtpReply(250, {}, b"2.0.0 queued as x", {}, "message"),
}
NO = {
    "mailgun": Reply(400, {}, b'{"message": "from parameter is missing"}'),
    "sendgrid": Reply(400, {}, b'{"errors": [{"message": "The subject is required.", "field": "subject"}]}'),
    "ses": Reply(400, {"x-amzn-errortype": "MessageRejected"}, b'{"message": "Email content contains a virus"}'),
    "postmark": Reply(422, {}, b'{"ErrorCode": 300, "Message": "Zero recipients specified"}'),
    "resend": Reply(422, {}, b'{"statusCode": 422, "name": "missing_required_field", "message": "Missing `subject`."}'),
    "smtp": SmtpReply(554, {}, b"5.6.0 no", {}, "message"),
}
every = pytest.mark.parametrize("name", ADAPTERS)


def a_letter(**changes: Any) -> Letter:
    fields: dict[str, Any] = {"sender": "Ann <ann@mg.example.com>", "to": ["bo@example.org"], "subject": "Grüße"}
    email = check_email(EmailDraft(**fields | {"text": "Hello", "bcc": ["di@example.org"]} | changes), now=NOW)
    return Letter(DispatchId("em_1-d0"), 3, RunId("em_1"), email, [a.mailbox.address for a in email.addressees], NOW)


@every
def test_it_says_what_it_is(name: str) -> None:
    adapter = ADAPTERS[name]

    assert adapter.name == name
    assert adapter.account
    assert adapter.max_recipients >= 1


@every
def test_it_builds_a_whole_batch_and_a_mail_the_same_way_each_time(name: str) -> None:
    adapter = ADAPTERS[name]

    assert adapter.build(a_batch(adapter.max_recipients)) == adapter.build(a_batch(adapter.max_recipients))
    letter = a_letter()
    assert type(adapter.build_letter(letter)) is type(adapter.build(a_batch(1)))


@every
def test_its_yes_its_no_and_what_is_neither_are_never_mixed_up(name: str) -> None:
    adapter = ADAPTERS[name]

    assert isinstance(adapter.read(YES[name]), Accepted)
    assert isinstance(adapter.read(NO[name]), Refused)
    neither = [Reply(status, {}, b"<html>somebody else</html>") for status in (200, 202, 400, 408, 499, 500, 502, 504)]
    assert all(isinstance(adapter.read(reply), InDoubt) for reply in neither)


HTTP = [name for name in ADAPTERS if name != "smtp"]
BODIES = [b"", b"<html>nginx</html>", b"{}", b"[]", b'"x"', b"\xff\xfe", b'{"message": 1}', b'{"errors": []}', b"{"]
TOO_FAST: dict[str, Sequence[Any]] = {
    "mailgun": [
        Reply(429, {}, b'{"message": "limit exceeded"}'),
        Reply(400, {}, b'{"message": "Throttled: slow down"}'),
    ],
    "sendgrid": [
        Reply(429, {}, b'{"errors": [{"message": "too many requests"}]}'),
        Reply(403, {}, b'{"errors": [{"message": "Rate limit reached"}]}'),
    ],
    "ses": [
        Reply(429, {"x-amzn-errortype": "TooManyRequestsException"}, b"{}"),
        Reply(400, {"x-amzn-errortype": "LimitExceededException"}, b'{"message": "Maximum sending rate exceeded."}'),
    ],
    "postmark": [
        Reply(429, {}, b'{"ErrorCode": 429, "Message": "Rate limit exceeded"}'),
        Reply(422, {}, b'{"ErrorCode": 429, "Message": "Slow down"}'),
    ],
    "resend": [
        Reply(429, {}, b'{"statusCode": 429, "name": "rate_limit_exceeded", "message": "Too many requests."}'),
        Reply(403, {}, b'{"statusCode": 403, "name": "x", "message": "Slow down, please."}'),
    ],
    "smtp": [
        SmtpReply(code, {}, words, {}, step)
        for step in ("mail", "data", "message")
        for code, words in (
            (454, b"4.7.0 Throttling failure: Maximum sending rate exceeded."),
            (421, b"4.7.28 unusual rate of mail"),
            (450, b"4.3.2 system not accepting now"),
            (451, b"too many messages, slow down"),
        )
    ],
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [429, 413])
@pytest.mark.parametrize("name", HTTP)
def test_429_and_413_say_by_their_number_that_nothing_was_done(name: str, status: int, body: bytes) -> None:
    refused = ADAPTERS[name].read(Reply(status, {"retry-after": "7"}, body))

    assert isinstance(refused, Refused)
    if status == 429:
        assert (refused.kind, refused.too_fast, refused.retry_after) == (Refusal.ACCOUNT, True, timedelta(seconds=7))


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 202, 204, 301, 400, 401, 403, 404, 408, 409, 422, 499, 500, 502, 503, 504])
@pytest.mark.parametrize("name", HTTP)
def test_any_other_number_with_a_body_of_somebody_elses_is_in_doubt(name: str, status: int, body: bytes) -> None:
    assert isinstance(ADAPTERS[name].read(Reply(status, {}, body)), InDoubt)


@every
def test_what_is_about_our_pace_waits_and_uses_up_no_try(name: str) -> None:
    outcomes = [ADAPTERS[name].read(reply) for reply in TOO_FAST[name]]

    assert [(one.kind, one.too_fast) for one in outcomes if isinstance(one, Refused)] == [
        (Refusal.ACCOUNT, True) for _ in outcomes
    ]


@every
def test_whatever_carries_a_whole_message_carries_seven_bits(name: str) -> None:
    """Mailgun, and all that take JSON, build it themselves; Mailgun not for what is left of a mail."""
    letter = a_letter(html="<p>Grüße</p>", to=["Zoë <bo@example.org>", "cy@example.org"])
    built: Any = ADAPTERS[name].build_letter(replace(letter, recipients=["cy@example.org"]))

    message = {
        "smtp": lambda: built.message,
        "ses": lambda: base64.b64decode(json.loads(built.body)["Content"]["Raw"]["Data"]),
        "mailgun": lambda: built.body,
    }.get(name, lambda: b"")()
    assert message.isascii()


@every
def test_a_connection_that_cannot_be_opened_says_that_nothing_was_sent(name: str) -> None:
    connection = ADAPTERS[name].connection()

    assert not connection.usable()
    with pytest.raises(NotWritten):
        connection.begin(ADAPTERS[name].build_letter(a_letter()))


@every
def test_one_that_cannot_be_asked_says_so_and_one_that_can_is_away_here(name: str) -> None:
    adapter = ADAPTERS[name]

    with pytest.raises(Unavailable):
        adapter.ask(adapter.account, [DispatchId("d")], None)
    with pytest.raises(Unavailable):
        list(adapter.accepted_since(adapter.account, NOW))
    with pytest.raises(Unavailable):
        adapter.make_control(adapter.account)


def written(name: str, request: Any) -> tuple[list[str], list[str]]:
    """Whom a built call goes to, and its reply-to addresses."""
    if name == "mailgun":
        form = message_from_bytes(f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode() + request.body)
        fields: dict[str, list[str]] = {}
        for part in form.get_payload():
            payload = part.get_payload(decode=True).decode()
            fields.setdefault(str(part.get_param("name", header="content-disposition")), []).append(payload)
        to = fields["to"] + fields.get("cc", []) + fields.get("bcc", [])
        return [address for _, address in getaddresses(to)], addresses_of(fields["h:Reply-To"])
    if name == "sendgrid":
        body = json.loads(request.body)
        (places,) = body["personalizations"]
        return [one["email"] for place in places.values() for one in place], [
            one["email"] for one in body.get("reply_to_list") or [body["reply_to"]]
        ]
    if name == "postmark":
        (body,) = [one] if isinstance(one := json.loads(request.body), dict) else one
        to = [body[place] for place in ("To", "Cc", "Bcc") if place in body]
        return addresses_of(to), addresses_of([body["ReplyTo"]])
    if name == "resend":
        (body,) = [one] if isinstance(one := json.loads(request.body), dict) else one
        return addresses_of([*body["to"], *body.get("cc", []), *body.get("bcc", [])]), addresses_of(body["reply_to"])
    if name == "ses":
        body = json.loads(request.body)
        raw, to = base64.b64decode(body["Content"]["Raw"]["Data"]), body["Destination"]["ToAddresses"]
        return to, addresses_of([str(message_from_bytes(raw)["Reply-To"])])
    return list(request.recipients), addresses_of([str(message_from_bytes(request.message)["Reply-To"])])


def addresses_of(headers: list[str]) -> list[str]:
    return [address for _, address in getaddresses(headers)]


@every
@pytest.mark.parametrize("reply_to", ["help@example.com", '"Help: us" <help@example.com>, "us..er"@docomo.ne.jp'])
def test_a_quoted_address_and_every_reply_to_address_is_carried(name: str, reply_to: str) -> None:
    letter = a_letter(to=['Bo <"us..er"@docomo.ne.jp>'], bcc=[], reply_to=reply_to)

    to, replies = written(name, ADAPTERS[name].build_letter(letter))

    assert to == ['"us..er"@docomo.ne.jp']
    assert replies == ["help@example.com", '"us..er"@docomo.ne.jp'][: 1 + reply_to.count(",")]


@every
def test_a_campaign_carries_every_reply_to_address(name: str) -> None:
    batch = a_batch(1)
    content = replace(batch.content, reply_to='"Help: us" <help@example.com>, sales@example.com')

    _, replies = written(name, ADAPTERS[name].build(replace(batch, content=content)))

    assert replies == ["help@example.com", "sales@example.com"]
