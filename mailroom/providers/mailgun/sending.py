"""Calls to Mailgun's `POST /v3/{domain}/messages`: one call for up to 1,000 recipients.

Source: documentation.mailgun.com, "Send an email" and "Batch sending" (read 2026-11). The region is a matter of the
base URL: api.mailgun.net, or api.eu.mailgun.net.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any, Final

from urllib3.filepost import encode_multipart_formdata

from mailroom.domain.addresses import Mailbox
from mailroom.domain.content import compile_content
from mailroom.domain.ids import DispatchId, rfc_message_id
from mailroom.domain.outcomes import Outcome
from mailroom.providers.base import Answer, Batch, Request
from mailroom.providers.connection import LiveConnection, Reply
from mailroom.providers.mailgun.asking import ask, make_control
from mailroom.providers.mailgun.codes import read_reply

MAX_RECIPIENTS: Final = 1_000


class MailgunAdapter:
    """One sending domain of one Mailgun account."""

    name = "mailgun"
    max_recipients = MAX_RECIPIENTS

    def __init__(self, *, domain: str, base_url: str, api_key: str, call_timeout_s: float, idle_limit_s: float) -> None:
        self.account = domain
        self._base_url, self._api_key = base_url, api_key
        self._call_timeout_s, self._idle_limit_s = call_timeout_s, idle_limit_s
        credentials = base64.b64encode(f"api:{api_key}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {credentials}",
            "Accept": "application/json",
            "User-Agent": "mailroom",
        }

    def connection(self) -> LiveConnection:
        return LiveConnection(self._base_url, call_timeout_s=self._call_timeout_s, idle_limit_s=self._idle_limit_s)

    def build(self, batch: Batch) -> Request:
        """The multipart request. Our ids travel as `v:` variables; they also reach the recipient's headers, so they
        hold nothing secret."""
        body, content_type = encode_multipart_formdata(self._fields(batch))
        return Request(f"/v3/{self.account}/messages", {**self._headers, "Content-Type": content_type}, body)

    def read(self, reply: Reply) -> Outcome:
        return read_reply(reply)

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return rfc_message_id(dispatch, account)

    def ask(self, account: str, dispatches: Sequence[DispatchId], control: str | None) -> Answer:
        return ask(self._base_url, self._api_key, account, dispatches, control)

    def make_control(self, account: str) -> str:
        return make_control(self._base_url, self._api_key, account)

    def _fields(self, batch: Batch) -> list[tuple[str, str | bytes]]:
        content = batch.content
        compiled = compile_content(content.subject, content.text, content.html)
        fields: list[tuple[str, str | bytes]] = [("from", content.sender)]
        fields += [("to", str(Mailbox(message.address, message.name))) for message in batch.messages]
        fields.append(("subject", compiled.subject.with_placeholders(_placeholder)))
        if content.text:
            fields.append(("text", compiled.text.with_placeholders(_placeholder)))
        if content.html:
            fields.append(("html", compiled.html.with_placeholders(_placeholder)))
        if content.reply_to:
            fields.append(("h:Reply-To", content.reply_to))
        fields.append(("h:Message-Id", f"<{rfc_message_id(batch.dispatch, self.account)}>"))
        fields += [("o:tag", tag) for tag in content.tags]
        fields.append(("o:tracking-opens", "yes"))
        fields.append(("v:run", batch.run))
        fields.append(("v:dispatch", batch.dispatch))
        fields.append(("v:attempt", str(batch.attempt)))
        # With recipient-variables, even empty ones, each recipient gets a copy of its own and sees only itself.
        variables: dict[str, Any] = {message.address: message.parts for message in batch.messages}
        fields.append(("recipient-variables", json.dumps(variables, ensure_ascii=False)))
        return fields


def _placeholder(key: str) -> str:
    return f"%recipient.{key}%"
