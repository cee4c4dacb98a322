"""What every adapter must do, whatever its vendor: one suite for all."""

from datetime import UTC, datetime
from typing import Any

import pytest

from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import AudienceId, DispatchId, MessageId, RunId
from mailroom.domain.messages import Message
from mailroom.domain.outcomes import Accepted, InDoubt, Refused
from mailroom.domain.schedules import Content
from mailroom.providers.base import Adapter, Batch, Letter
from mailroom.providers.connection import NotWritten, Reply
from mailroom.providers.mailgun.sending import MailgunAdapter
from mailroom.providers.sendgrid.sending import SendGridAdapter
from mailroom.providers.ses.sending import SesAdapter
from mailroom.providers.ses.signing import Signer
from mailroom.providers.smtp.connection import SmtpReply
from mailroom.providers.smtp.sending import SmtpAdapter

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
TIMES: dict[str, Any] = {"call_timeout_s": 5, "idle_limit_s": 60}
NOBODY = "http://127.0.0.1:9"
ADAPTERS: dict[str, Adapter] = {
    "mailgun": MailgunAdapter(domain="mg.example.com", base_url=NOBODY, api_key="k", **TIMES),
    "sendgrid": SendGridAdapter(base_url=NOBODY, api_key="k", **TIMES),
    "ses": SesAdapter(
        base_url=NOBODY,
        signer=Signer(region="eu-central-1", access_key="k", secret_key="s", session_token=""),
        configuration_set="mailroom",
        **TIMES,
    ),
    "smtp": SmtpAdapter(url="smtp://localhost:25?tls=none", **TIMES),
}
YES = {
    "mailgun": Reply(200, {}, b'{"id": "<x@mg.example.com>", "message": "Queued. Thank you."}'),
    "sendgrid": Reply(202, {"x-message-id": "x"}, b""),
    "ses": Reply(200, {}, b'{"MessageId": "0100-x"}'),
    "smtp": SmtpReply(250, {}, b"2.0.0 queued as x", {}, "message"),
}
NO = {
    "mailgun": Reply(400, {}, b'{"message": "from parameter is missing"}'),
    "sendgrid": Reply(400, {}, b'{"errors": [{"message": "The subject is required.", "field": "subject"}]}'),
    "ses": Reply(400, {"x-amzn-errortype": "MessageRejected"}, b'{"message": "Email content contains a virus"}'),
    "smtp": SmtpReply(554, {}, b"5.6.0 no", {}, "message"),
}
every = pytest.mark.parametrize("name", ADAPTERS)


def a_letter(**changes: Any) -> Letter:
    fields: dict[str, Any] = {"sender": "Ann <ann@mg.example.com>", "to": ["bo@example.org"], "subject": "Grüße"}
    email = check_email(EmailDraft(**fields | {"text": "Hello", "bcc": ["di@example.org"]} | changes), now=NOW)
    return Letter(DispatchId("em_1-d0"), 3, RunId("em_1"), email, [a.mailbox.address for a in email.addressees], NOW)


def a_batch(count: int) -> Batch:
    content = Content("ann@mg.example.com", "Hi {{ name }}", "Hi {{ name }}", "", AudienceId("a"), count)
    messages = [
        Message(MessageId(f"m{n}"), RunId("r"), DispatchId("r-d0"), f"b{n}@example.org", "", {"s1": "Bo", "t1": "Bo"})
        for n in range(count)
    ]
    return Batch(DispatchId("r-d0"), 1, RunId("r"), content, messages, NOW)


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
