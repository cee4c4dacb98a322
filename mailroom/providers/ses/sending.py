"""Calls to Amazon SES's `POST /v2/email/outbound-emails`: one MIME message a call, to at most 50
recipients, as many as a single mail may have.

Source: docs.aws.amazon.com, "SendEmail" and "MessageTag" of the SES v2 API (read 2026-11). SES writes a Message-ID of
its own, and has no log to ask: our ids go along as message tags, and only its notifications tell the outcome of a call
whose answer was lost. boto3 signs but does not send: its client retries by itself, even after a time-out.
"""

import base64
from typing import Final

import orjson

from mailroom.domain.addresses import parse_mailbox
from mailroom.domain.dispatches.outcomes import Outcome
from mailroom.domain.ids import DispatchId, rfc_message_id
from mailroom.providers.base import Batch, CannotBeAsked, Letter
from mailroom.providers.connection import Reply, Request
from mailroom.providers.mime import as_mime, letter_of
from mailroom.providers.ses.codes import read_reply
from mailroom.providers.ses.signing import Signer, SigningConnection
from mailroom.providers.tags import ATTEMPT, DISPATCH, RUN, as_tag

PATH: Final = "/v2/email/outbound-emails"


class SesAdapter(CannotBeAsked):
    """One account in one region. SES publishes events, with our tags, because of `configuration_set`."""

    name = "ses"
    max_recipients = 1  # opens and clicks do not name a recipient: one recipient a call
    max_connections = 4_096

    def __init__(
        self, *, base_url: str, signer: Signer, configuration_set: str, call_timeout_s: float, idle_limit_s: float
    ) -> None:
        self._base_url, self._signer = base_url, signer
        self._call_timeout_s, self._idle_limit_s = call_timeout_s, idle_limit_s
        self.account = self._configuration_set = configuration_set

    def connection(self) -> SigningConnection:
        return SigningConnection(
            self._base_url, self._signer, call_timeout_s=self._call_timeout_s, idle_limit_s=self._idle_limit_s
        )

    def build(self, batch: Batch) -> Request:
        return self._request(letter_of(batch))

    def build_letter(self, letter: Letter) -> Request:
        return self._request(letter)

    def read(self, reply: Reply) -> Outcome:
        return read_reply(reply)

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return dispatch

    def _request(self, letter: Letter) -> Request:
        sender = parse_mailbox(letter.email.sender)
        message_id = rfc_message_id(letter.dispatch, sender.address.rpartition("@")[2])
        mime = as_mime(letter.email, message_id=message_id, date=letter.date)
        tags = {RUN: letter.run, DISPATCH: letter.dispatch, ATTEMPT: str(letter.attempt)}
        body = {
            # The envelope, independent of the headers: only here are the addresses of `bcc`.
            "Destination": {"ToAddresses": list(letter.recipients)},
            "Content": {"Raw": {"Data": base64.b64encode(mime).decode()}},
            "EmailTags": [{"Name": name, "Value": as_tag(value)} for name, value in tags.items()],
            "ConfigurationSetName": self._configuration_set,
        }
        return Request(PATH, {"Content-Type": "application/json"}, orjson.dumps(body))
