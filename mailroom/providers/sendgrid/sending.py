"""Calls to SendGrid's `POST /v3/mail/send`: one call for up to 1,000 recipients of a batch.

Source: docs.sendgrid.com, "Mail Send" and "Personalizations" (read 2026-11). Its log needs an add-on: only
its signed event webhook tells the outcome of a call whose answer was lost.
"""

import base64
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from mailroom.domain import run_content
from mailroom.domain.addresses import Mailbox, fold, parse_mailbox, parse_mailboxes
from mailroom.domain.dispatches.outcomes import Outcome
from mailroom.domain.emails.model import Attachment, Email, Place
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.messages.model import Message
from mailroom.domain.template_filling import MAILTO_KEY
from mailroom.providers.base import Batch, Letter, SendInParts
from mailroom.providers.connection import Reply, Request
from mailroom.providers.json_api import JsonApi
from mailroom.providers.sendgrid.codes import read_reply

MAX_RECIPIENTS: Final = 1_000
_MOST_SUBSTITUTED: Final = 9_000  # bytes of one personalization's substitutions; SendGrid takes 10,000
# Random, so that no mail's text can hold it.
_MARK: Final = f"-mr{secrets.token_hex(6)}"
RUN, DISPATCH, ATTEMPT = "mailroom_run", "mailroom_dispatch", "mailroom_attempt"


class SendGridAdapter(JsonApi):
    """One SendGrid account."""

    name = "sendgrid"
    account = "sendgrid"
    max_recipients = MAX_RECIPIENTS

    def build(self, batch: Batch) -> Request:
        """The text goes once, each recipient's parts as substitutions. Raises SendInParts if these are too long for a
        call to several recipients."""
        content = batch.content
        compiled = run_content.compiled(content, batch.run_values)
        if len(batch.messages) == 1:
            parts = batch.messages[0].parts
            fill: Any = parts.__getitem__
        else:
            if any(_substituted(message) > _MOST_SUBSTITUTED for message in batch.messages):
                raise SendInParts(1)
            fill = _placeholder
        body: dict[str, Any] = {
            "personalizations": [_personal(batch, message) for message in batch.messages],
            "from": _address(parse_mailbox(content.sender)),
            "subject": compiled.subject.with_placeholders(fill),
            "content": _contents(compiled.text.with_placeholders(fill), compiled.html.with_placeholders(fill)),
            "custom_args": _ours(batch.run, batch.dispatch, batch.attempt),
            "categories": list(content.tags),
            "tracking_settings": {"open_tracking": {"enable": bool(content.html)}},
        }
        if content.reply_to:
            body |= _reply_to(content.reply_to)
        if batch.files:
            body["attachments"] = [_attachment(file) for file in batch.files]
        return self._request(body)

    def build_letter(self, letter: Letter) -> Request:
        """A mail to some of its recipients names only these: SendGrid makes headers and envelope from one list."""
        email = letter.email
        body: dict[str, Any] = {
            "personalizations": _places(email, letter.recipients),
            "from": _address(parse_mailbox(email.sender)),
            "subject": email.subject,
            "content": _contents(email.body.text, email.body.html),
            "custom_args": _ours(letter.run, letter.dispatch, letter.attempt),
            "categories": list(email.tags),
        }
        if email.reply_to:
            body |= _reply_to(email.reply_to)
        if email.body.headers:
            body["headers"] = dict(email.body.headers)
        if email.body.attachments:
            body["attachments"] = [_attachment(attachment) for attachment in email.body.attachments]
        return self._request(body)

    def read(self, reply: Reply) -> Outcome:
        return read_reply(reply)

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return dispatch

    def _request(self, body: Mapping[str, Any]) -> Request:
        return Request("/v3/mail/send", self._headers, orjson.dumps(body))


def _personal(batch: Batch, message: Message) -> dict[str, Any]:
    personal: dict[str, Any] = {"to": [_address(Mailbox(message.address, message.name))]}
    if len(batch.messages) > 1 and message.parts:
        personal["substitutions"] = {_placeholder(key): value for key, value in _filled_in(message)}
    if headers := batch.headers(message.parts):
        personal["headers"] = headers
    return personal


def _reply_to(written: str) -> dict[str, Any]:
    """One address and several go in different fields, of which SendGrid takes only one."""
    addresses = [_address(mailbox) for mailbox in parse_mailboxes(written)]
    return {"reply_to": addresses[0]} if len(addresses) == 1 else {"reply_to_list": addresses}


def _places(email: Email, recipients: Sequence[str]) -> list[dict[str, Any]]:
    """The recipients of one mail for all. SendGrid requires an address in `to`. If `to` and `cc` are empty, each
    address of `bcc` gets a mail of its own in `to`, so that none sees another."""
    wanted = {fold(address) for address in recipients}
    places = {
        place.value: [_address(mailbox) for mailbox in email.at(place) if fold(mailbox.address) in wanted]
        for place in Place
    }
    if not places[Place.TO] and not places[Place.CC]:
        return [{Place.TO.value: [hidden]} for hidden in places[Place.BCC]]
    if not places[Place.TO]:
        places[Place.TO], places[Place.CC] = places[Place.CC], []
    return [{place: addresses for place, addresses in places.items() if addresses}]


def _contents(text: str, html: str) -> list[dict[str, str]]:
    """The bodies, plain text first, as SendGrid requires."""
    bodies = (("text/plain", text), ("text/html", html))
    return [{"type": kind, "value": value} for kind, value in bodies if value]


def _attachment(attachment: Attachment) -> dict[str, str]:
    fields = {
        "content": base64.b64encode(attachment.content).decode(),
        "type": attachment.content_type,
        "filename": attachment.filename,
        "disposition": "inline" if attachment.content_id else "attachment",
    }
    return fields | ({"content_id": attachment.content_id} if attachment.content_id else {})


def _ours(run: RunId, dispatch: DispatchId, attempt: int) -> dict[str, str]:
    """Our ids, which SendGrid returns at the top level of every event."""
    return {RUN: run, DISPATCH: dispatch, ATTEMPT: str(attempt)}


def _address(mailbox: Mailbox) -> dict[str, str]:
    return {"email": mailbox.address} | ({"name": mailbox.name} if mailbox.name else {})


def _placeholder(key: str) -> str:
    return f"{_MARK}{key}-"


def _substituted(message: Message) -> int:
    return sum(len(_placeholder(key)) + len(value.encode()) for key, value in _filled_in(message))


def _filled_in(message: Message) -> Iterator[tuple[str, str]]:
    """The parts that the bodies have places for. Headers are written for each recipient anyway."""
    return ((key, value) for key, value in message.parts.items() if key != MAILTO_KEY)
