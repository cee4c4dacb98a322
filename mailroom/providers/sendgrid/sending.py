"""Calls to SendGrid's `POST /v3/mail/send`: one call for up to 1,000 recipients of a batch.

Source: docs.sendgrid.com, "Mail Send" and "Personalizations" (read 2026-11). Its log cannot be asked without an add-on:
what its event webhook tells, signed, is all that is known of a lost answer.
"""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mailroom.domain.addresses import Mailbox, fold, parse_mailbox, parse_mailboxes
from mailroom.domain.content import compile_content
from mailroom.domain.emails.model import Attachment, Email, Place
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.messages import Message
from mailroom.domain.outcomes import Outcome
from mailroom.providers.base import Batch, CannotBeAsked, Letter, SendInParts
from mailroom.providers.connection import LiveConnection, Reply, Request
from mailroom.providers.sendgrid.codes import read_reply

MAX_RECIPIENTS: Final = 1_000
_MOST_SUBSTITUTED: Final = 9_000  # bytes of one personalization's substitutions; SendGrid takes 10,000
# Random, so that no mail's text can hold it.
_MARK: Final = f"-mr{secrets.token_hex(6)}"
RUN, DISPATCH, ATTEMPT = "mailroom_run", "mailroom_dispatch", "mailroom_attempt"


class SendGridAdapter(CannotBeAsked):
    """One SendGrid account."""

    name = "sendgrid"
    account = "sendgrid"
    max_recipients = MAX_RECIPIENTS
    max_connections = 4_096

    def __init__(self, *, base_url: str, api_key: str, call_timeout_s: float, idle_limit_s: float) -> None:
        self._base_url = base_url
        self._call_timeout_s, self._idle_limit_s = call_timeout_s, idle_limit_s
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "mailroom",
        }

    def connection(self) -> LiveConnection:
        return LiveConnection(self._base_url, call_timeout_s=self._call_timeout_s, idle_limit_s=self._idle_limit_s)

    def build(self, batch: Batch) -> Request:
        """Fixed text goes once, and what differs by recipient as substitutions. Raises SendInParts where these are too
        long for a call of several."""
        content = batch.content
        compiled = compile_content(content.subject, content.text, content.html)
        if len(batch.messages) == 1:
            parts = batch.messages[0].parts
            fill: Any = parts.__getitem__
        else:
            if any(_substituted(message) > _MOST_SUBSTITUTED for message in batch.messages):
                raise SendInParts(1)
            fill = _placeholder
        body = {
            "personalizations": [_personal(message, alone=len(batch.messages) == 1) for message in batch.messages],
            "from": _address(parse_mailbox(content.sender)),
            "subject": compiled.subject.with_placeholders(fill),
            "content": _contents(compiled.text.with_placeholders(fill), compiled.html.with_placeholders(fill)),
            "custom_args": _ours(batch.run, batch.dispatch, batch.attempt),
            "categories": list(content.tags),
            "tracking_settings": {"open_tracking": {"enable": bool(content.html)}},
        }
        if content.reply_to:
            body |= _reply_to(content.reply_to)
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
            body["attachments"] = [_attachment(one) for one in email.body.attachments]
        return self._request(body)

    def read(self, reply: Reply) -> Outcome:
        return read_reply(reply)

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return dispatch

    def _request(self, body: Mapping[str, Any]) -> Request:
        return Request("/v3/mail/send", self._headers, json.dumps(body, ensure_ascii=False).encode())


def _personal(message: Message, *, alone: bool) -> dict[str, Any]:
    personal: dict[str, Any] = {"to": [_address(Mailbox(message.address, message.name))]}
    if not alone and message.parts:
        personal["substitutions"] = {_placeholder(key): value for key, value in message.parts.items()}
    return personal


def _reply_to(written: str) -> dict[str, Any]:
    """Several go in another field: SendGrid takes one of the two."""
    found = [_address(mailbox) for mailbox in parse_mailboxes(written)]
    return {"reply_to": found[0]} if len(found) == 1 else {"reply_to_list": found}


def _places(email: Email, recipients: Sequence[str]) -> list[dict[str, Any]]:
    """One mail for all. SendGrid wants somebody in `to`; where nobody is left in `to` and `cc`, each of `bcc` gets a
    mail of their own there, so that none sees another."""
    wanted = {fold(address) for address in recipients}
    found = {place.value: [_address(one) for one in email.at(place) if fold(one.address) in wanted] for place in Place}
    if not found[Place.TO] and not found[Place.CC]:
        return [{Place.TO.value: [hidden]} for hidden in found[Place.BCC]]
    if not found[Place.TO]:
        found[Place.TO], found[Place.CC] = found[Place.CC], []
    return [{place: addresses for place, addresses in found.items() if addresses}]


def _contents(text: str, html: str) -> list[dict[str, str]]:
    """Plain text first: SendGrid insists on it."""
    told = (("text/plain", text), ("text/html", html))
    return [{"type": kind, "value": value} for kind, value in told if value]


def _attachment(one: Attachment) -> dict[str, str]:
    told = {
        "content": base64.b64encode(one.content).decode(),
        "type": one.content_type,
        "filename": one.filename,
        "disposition": "inline" if one.content_id else "attachment",
    }
    return told | ({"content_id": one.content_id} if one.content_id else {})


def _ours(run: RunId, dispatch: DispatchId, attempt: int) -> dict[str, str]:
    """They come back at the top level of every event."""
    return {RUN: run, DISPATCH: dispatch, ATTEMPT: str(attempt)}


def _address(mailbox: Mailbox) -> dict[str, str]:
    return {"email": mailbox.address} | ({"name": mailbox.name} if mailbox.name else {})


def _placeholder(key: str) -> str:
    return f"{_MARK}{key}-"


def _substituted(message: Message) -> int:
    return sum(len(_placeholder(key)) + len(value.encode()) for key, value in message.parts.items())
