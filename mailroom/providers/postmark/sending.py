"""Calls to Postmark: `POST /email/batch` with up to 500 mails of a campaign, `POST /email` with a single mail.

Source: postmarkapp.com/developer/api/email-api, /developer/user-guide/send-email-with-api/batch-emails and
/support/article/1125-custom-metadata-faq (read 2026-11). Postmark has no idempotency key. Its search for sent messages
does not say when it is complete, so it is not asked: only webhooks tell the outcome of a call whose answer was lost.
"""

import base64
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from mailroom.domain import run_content
from mailroom.domain.addresses import Mailbox
from mailroom.domain.dispatches.outcomes import Outcome
from mailroom.domain.emails.model import Attachment, Place
from mailroom.domain.ids import DispatchId, RunId, short_dispatch
from mailroom.providers.base import Batch, Letter
from mailroom.providers.batches import BatchConnection, BatchRequest, as_array
from mailroom.providers.connection import Reply
from mailroom.providers.json_api import JsonApi
from mailroom.providers.places import places_of
from mailroom.providers.postmark.codes import read_reply

MAX_RECIPIENTS: Final = 500
MAX_MAIL_BYTES: Final = 10 * 1024 * 1024  # of one mail as JSON, attachments in base64
# Names of metadata have at most 20 characters, values 80: too few for the id of a part of a resent run.
RUN, DISPATCH, ATTEMPT = "mailroom_run", "mailroom_dispatch", "mailroom_attempt"
_PLACES: Final = {Place.TO: "To", Place.CC: "Cc", Place.BCC: "Bcc"}


class PostmarkAdapter(JsonApi):
    """One server of a Postmark account. Single mails and campaigns go by message streams of their own, as Postmark
    requires."""

    name = "postmark"
    account = "postmark"
    max_recipients = MAX_RECIPIENTS
    connects = BatchConnection

    def __init__(
        self,
        *,
        base_url: str,
        server_token: str,
        transactional_stream: str,
        broadcast_stream: str,
        call_timeout_s: float,
        idle_limit_s: float,
    ) -> None:
        super().__init__(
            base_url=base_url, api_key=server_token, call_timeout_s=call_timeout_s, idle_limit_s=idle_limit_s
        )
        self._transactional_stream, self._broadcast_stream = transactional_stream, broadcast_stream

    def authorization(self, api_key: str) -> dict[str, str]:
        return {"X-Postmark-Server-Token": api_key}

    def build(self, batch: Batch) -> BatchRequest:
        """Each mail is written out. Raises SendInParts if they are too many bytes for one call."""
        recipients = tuple(message.address for message in batch.messages)
        return BatchRequest("/email/batch", self._headers, as_array(self._mails(batch)), recipients)

    def build_letter(self, letter: Letter) -> BatchRequest:
        """A mail to some of its recipients names only these: Postmark makes headers and envelope from one list."""
        email = letter.email
        mail: dict[str, Any] = {
            "From": email.sender,
            "Subject": email.subject,
            **{_PLACES[place]: ", ".join(map(str, found)) for place, found in places_of(letter).items() if found},
            **_bodies(email.body.text, email.body.html),
            "MessageStream": self._transactional_stream,
            "Metadata": _ours(letter.run, letter.dispatch, letter.attempt),
            **_optional(email.reply_to, email.tags),
        }
        mail |= _headers(email.body.headers)
        if email.body.attachments:
            mail["Attachments"] = [_attachment(attachment) for attachment in email.body.attachments]
        return BatchRequest("/email", self._headers, _checked(orjson.dumps(mail)))

    def read(self, reply: Reply) -> Outcome:
        return read_reply(reply)

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return dispatch

    def _mails(self, batch: Batch) -> Iterator[bytes]:
        content = batch.content
        compiled = run_content.compiled(content, batch.run_values)
        shared: dict[str, Any] = {
            "From": content.sender,
            "MessageStream": self._broadcast_stream,
            "Metadata": _ours(batch.run, batch.dispatch, batch.attempt),
            "TrackOpens": bool(content.html),
            **_optional(content.reply_to, content.tags),
        }
        if batch.files:
            shared["Attachments"] = [_attachment(file) for file in batch.files]
        for message in batch.messages:
            subject, text, html = (
                part.with_placeholders(message.parts.__getitem__)
                for part in (compiled.subject, compiled.text, compiled.html)
            )
            to = str(Mailbox(message.address, message.name))
            headers = _headers(batch.headers(message.parts))
            yield _checked(orjson.dumps(shared | headers | {"To": to, "Subject": subject, **_bodies(text, html)}))


def _ours(run: RunId, dispatch: DispatchId, attempt: int) -> dict[str, str]:
    """Our ids, which Postmark returns with every event. Recipients do not see them."""
    return {RUN: run, DISPATCH: short_dispatch(dispatch, run), ATTEMPT: str(attempt)}


def _headers(headers: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    return {"Headers": [{"Name": name, "Value": value} for name, value in headers.items()]} if headers else {}


def _bodies(text: str, html: str) -> dict[str, str]:
    return {name: body for name, body in (("TextBody", text), ("HtmlBody", html)) if body}


def _optional(reply_to: str, tags: tuple[str, ...]) -> dict[str, str]:
    """Postmark takes one tag: the first."""
    return ({"ReplyTo": reply_to} if reply_to else {}) | ({"Tag": tags[0]} if tags else {})


def _attachment(attachment: Attachment) -> dict[str, str]:
    fields = {
        "Name": attachment.filename,
        "Content": base64.b64encode(attachment.content).decode(),
        "ContentType": attachment.content_type,
    }
    return fields | ({"ContentID": f"cid:{attachment.content_id}"} if attachment.content_id else {})


def _checked(mail: bytes) -> bytes:
    if len(mail) > MAX_MAIL_BYTES:
        raise ValueError(f"Postmark takes mails of up to {MAX_MAIL_BYTES:,} bytes; this one has {len(mail):,}")
    return mail
