"""Calls to Mailgun's `POST /v3/{domain}/messages`: one call for up to 1,000 recipients.

Source: documentation.mailgun.com, "Send an email" and "Batch sending" (read 2026-11). The base URL decides the
region: api.mailgun.net, or api.eu.mailgun.net.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import orjson

from mailroom.domain import run_content
from mailroom.domain.addresses import Mailbox
from mailroom.domain.dispatches.outcomes import Outcome
from mailroom.domain.ids import DispatchId, rfc_message_id
from mailroom.domain.run_values import RunValues
from mailroom.domain.schedules import Content
from mailroom.domain.template_filling import LINK_KEY, MAILTO_KEY
from mailroom.providers.base import Answer, Batch, Letter
from mailroom.providers.connection import LiveConnection, Reply, Request
from mailroom.providers.mailgun import multipart, single_mail
from mailroom.providers.mailgun.codes import read_reply
from mailroom.providers.mailgun.events_api import accepted_since, ask, make_control

MAX_RECIPIENTS: Final = 1_000


class MailgunAdapter:
    """One sending domain of one Mailgun account."""

    name = "mailgun"
    max_recipients = MAX_RECIPIENTS
    max_connections = 4_096
    askable = True

    def __init__(self, *, domain: str, base_url: str, api_key: str, call_timeout_s: float, idle_limit_s: float) -> None:
        self.account = domain
        self._base_url, self._api_key = base_url, api_key
        self._call_timeout_s, self._idle_limit_s = call_timeout_s, idle_limit_s
        credentials = base64.b64encode(f"api:{api_key}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {credentials}",
            "Accept": "application/json",
            "User-Agent": "mailroom",
            "Content-Type": multipart.CONTENT_TYPE,
        }
        self._path = f"/v3/{domain}/messages"

    def connection(self) -> LiveConnection:
        return LiveConnection(self._base_url, call_timeout_s=self._call_timeout_s, idle_limit_s=self._idle_limit_s)

    def build(self, batch: Batch) -> Request:
        """The multipart request. Our ids travel as `v:` variables; they also reach the recipient's headers, so they
        hold nothing secret."""
        own = multipart.fields(self._own_fields(batch))
        same, files = _same_parts(batch.content, batch.run_values), single_mail.files(batch.files)
        return Request(self._path, self._headers, b"".join([same, own, *files, multipart.END]))

    def build_letter(self, letter: Letter) -> Request:
        if letter.whole:
            return Request(self._path, self._headers, single_mail.whole(letter, self.account))
        return Request(f"{self._path}.mime", self._headers, single_mail.in_part(letter, self.account))

    def read(self, reply: Reply) -> Outcome:
        return read_reply(reply)

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return rfc_message_id(dispatch, account)

    def ask(
        self,
        account: str,
        dispatches: Sequence[DispatchId],
        control: str | None,
        told_as: Mapping[DispatchId, Sequence[str]] = MappingProxyType({}),
    ) -> Answer:
        return ask(self._base_url, self._api_key, account, dispatches, control, told_as)

    def accepted_since(self, account: str, since: datetime) -> Iterator[tuple[DispatchId, str]]:
        return accepted_since(self._base_url, self._api_key, account, since)

    def make_control(self, account: str) -> str:
        return make_control(self._base_url, self._api_key, account)

    def _own_fields(self, batch: Batch) -> Iterator[tuple[str, str]]:
        """The fields that differ from call to call."""
        for message in batch.messages:
            yield "to", str(Mailbox(message.address, message.name))
        yield "h:Message-Id", f"<{rfc_message_id(batch.dispatch, self.account)}>"
        for name, value in batch.headers(_placeholders(batch)).items():
            yield f"h:{name}", value
        yield "v:run", batch.run
        yield "v:dispatch", batch.dispatch
        yield "v:attempt", str(batch.attempt)
        # With recipient-variables, even empty ones, each recipient gets a copy of its own and sees only itself.
        variables = {message.address: message.parts for message in batch.messages}
        yield "recipient-variables", orjson.dumps(variables).decode()


@lru_cache(maxsize=32)
def _same_parts(content: Content, run_values: RunValues) -> bytes:
    """The parts of the form that are the same in every call of one content, with the same values of its run."""
    compiled = run_content.compiled(content, run_values)
    fields = [("from", content.sender), ("subject", compiled.subject.with_placeholders(_placeholder))]
    if content.text:
        fields.append(("text", compiled.text.with_placeholders(_placeholder)))
    if content.html:
        fields.append(("html", compiled.html.with_placeholders(_placeholder)))
    if content.reply_to:
        fields.append(("h:Reply-To", content.reply_to))
    fields += [("o:tag", tag) for tag in content.tags]
    fields.append(("o:tracking-opens", "yes"))
    return multipart.fields(fields)


def _placeholders(batch: Batch) -> dict[str, str]:
    """In place of what each reader has of their own in the headers."""
    return {key: _placeholder(key) for key in (LINK_KEY, MAILTO_KEY) if key in batch.messages[0].parts}


def _placeholder(key: str) -> str:
    return f"%recipient.{key}%"
