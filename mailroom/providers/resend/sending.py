"""Calls to Resend: `POST /emails/batch` with up to 100 mails of a campaign, `POST /emails` with a single mail.

Source: resend.com/docs/api-reference/emails/send-email, /send-batch-emails, resend.com/docs/dashboard/emails/tags and
/idempotency-keys, and resend/resend-openapi (read 2026-11). Its list of mails cannot be searched: only webhooks tell
the outcome of a call whose answer was lost.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from mimetypes import guess_type
from typing import Any, Final

import orjson

from mailroom.domain import run_content
from mailroom.domain.addresses import Mailbox, parse_mailboxes
from mailroom.domain.dispatches.outcomes import Outcome
from mailroom.domain.emails.content_types import parse_content_type
from mailroom.domain.emails.model import Attachment
from mailroom.domain.ids import DispatchId
from mailroom.providers.base import Batch, Letter, SendInParts
from mailroom.providers.batches import BatchConnection, BatchRequest, as_array
from mailroom.providers.connection import Reply
from mailroom.providers.json_api import JsonApi
from mailroom.providers.places import places_of
from mailroom.providers.resend.codes import read_reply
from mailroom.providers.resend.tags import tags_of

MAX_RECIPIENTS: Final = 100


class ResendAdapter(JsonApi):
    """One team's account at Resend."""

    name = "resend"
    account = "resend"
    max_recipients = MAX_RECIPIENTS
    connects = BatchConnection

    def build(self, batch: Batch) -> BatchRequest:
        """Each mail is written out; Resend takes all of them or none. Raises SendInParts if they are too many bytes for
        one call."""
        headers = self._headers_of(batch.dispatch, batch.attempt)
        if batch.files:
            return self._with_files(batch, headers)
        recipients = tuple(message.address for message in batch.messages)
        return BatchRequest("/emails/batch", headers, as_array(_mails(batch)), recipients)

    def _with_files(self, batch: Batch, headers: Mapping[str, str]) -> BatchRequest:
        """Resend takes no attachments in a batch: such mails go one a call. Raises SendInParts."""
        if len(batch.messages) > 1:
            raise SendInParts(1)
        (mail,) = _mails(batch)
        files = orjson.dumps([_attachment(file) for file in batch.files])
        return BatchRequest("/emails", headers, mail[:-1] + b',"attachments":' + files + b"}")

    def build_letter(self, letter: Letter) -> BatchRequest:
        """A mail to some of its recipients names only these: Resend makes headers and envelope from one list."""
        email = letter.email
        mail: dict[str, Any] = {
            "from": email.sender,
            "subject": email.subject,
            **{place.value: [str(mailbox) for mailbox in found] for place, found in places_of(letter).items() if found},
            **_bodies(email.body.text, email.body.html),
            **_reply_to(email.reply_to),
            "tags": tags_of(letter.run, letter.dispatch, letter.attempt, letter.recipients),
        }
        if email.body.headers:
            mail["headers"] = dict(email.body.headers)
        if email.body.attachments:
            mail["attachments"] = [_attachment(attachment) for attachment in email.body.attachments]
        return BatchRequest("/emails", self._headers_of(letter.dispatch, letter.attempt), orjson.dumps(mail))

    def read(self, reply: Reply) -> Outcome:
        return read_reply(reply)

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return dispatch

    def _headers_of(self, dispatch: DispatchId, attempt: int) -> Mapping[str, str]:
        """With the key of this attempt. A second net below our own: a call that is made twice in spite of all is one
        mail to Resend, for 24 hours. A new attempt has a new key, so that it is never mistaken for an earlier one."""
        return self._headers | {"Idempotency-Key": f"{dispatch}/{attempt}"}


def _mails(batch: Batch) -> Iterator[bytes]:
    content = batch.content
    compiled = run_content.compiled(content, batch.run_values)
    for message in batch.messages:
        subject, text, html = (
            part.with_placeholders(message.parts.__getitem__)
            for part in (compiled.subject, compiled.text, compiled.html)
        )
        mail: dict[str, Any] = {
            "from": content.sender,
            "to": [str(Mailbox(message.address, message.name))],
            "subject": subject,
            **_bodies(text, html),
            **_reply_to(content.reply_to),
            "tags": tags_of(batch.run, batch.dispatch, batch.attempt, [message.address]),
        }
        if headers := batch.headers(message.parts):
            mail["headers"] = headers
        yield orjson.dumps(mail)


def _bodies(text: str, html: str) -> dict[str, str]:
    return {name: body for name, body in (("text", text), ("html", html)) if body}


def _reply_to(written: str) -> dict[str, Sequence[str]]:
    return {"reply_to": [str(mailbox) for mailbox in parse_mailboxes(written)]} if written else {}


def _attachment(attachment: Attachment) -> dict[str, str]:
    """Resend accepts a file whose name says another type than its content type, and then loses the mail without a word
    (django-anymail, 2026-07). Such a file goes without a content type: Resend takes the name's."""
    fields = {"filename": attachment.filename, "content": base64.b64encode(attachment.content).decode()}
    kind, by_name = parse_content_type(attachment.content_type), guess_type(attachment.filename)[0]
    if by_name is None or by_name == f"{kind.main}/{kind.sub}":
        fields["content_type"] = attachment.content_type
    return fields | ({"content_id": attachment.content_id} if attachment.content_id else {})
