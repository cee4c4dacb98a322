"""An SMTP server as a provider: one message a call, to all recipients of a single mail, or to one of a campaign.

There is no log to ask: a lost answer to the final dot stays in doubt.
"""

from typing import Final
from urllib.parse import parse_qs, urlsplit

from mailroom.domain.addresses import parse_mailbox
from mailroom.domain.dispatches.outcomes import Outcome
from mailroom.domain.ids import DispatchId, rfc_message_id
from mailroom.providers.base import Batch, CannotBeAsked, Letter
from mailroom.providers.connection import Reply
from mailroom.providers.mime import as_mime, letter_of
from mailroom.providers.smtp.codes import read_reply
from mailroom.providers.smtp.connection import Patience, SmtpConnection
from mailroom.providers.smtp.dialogue import Envelope

TLS: Final = ("starttls", "implicit", "none")


class SmtpAdapter(CannotBeAsked):
    """One submission server. `url`: smtp://user:password@host:587, smtps://...; `?tls=none` for a trusted network;
    `connections=8` sessions of one sender, because servers limit them by address; `messages=100` a session."""

    name = "smtp"
    max_recipients = 1

    def __init__(self, *, url: str, call_timeout_s: float, idle_limit_s: float) -> None:
        self._url = urlsplit(url)
        self.account = self._url.hostname or ""
        options = parse_qs(self._url.query)
        self._tls = "implicit" if self._url.scheme == "smtps" else options.get("tls", ["starttls"])[0]
        self.max_connections = int(options.get("connections", ["8"])[0])
        self._patience = Patience(int(options.get("messages", ["100"])[0]))
        self._call_timeout_s, self._idle_limit_s = call_timeout_s, idle_limit_s

    def connection(self) -> SmtpConnection:
        return SmtpConnection(
            self._url,
            tls=self._tls,
            local_name="mailroom.localdomain",
            call_timeout_s=self._call_timeout_s,
            idle_limit_s=self._idle_limit_s,
            patience=self._patience,
        )

    def build(self, batch: Batch) -> Envelope:
        return self.build_letter(letter_of(batch))

    def build_letter(self, letter: Letter) -> Envelope:
        sender = parse_mailbox(letter.email.sender).address
        message_id = rfc_message_id(letter.dispatch, sender.rpartition("@")[2])
        return Envelope(sender, letter.recipients, as_mime(letter.email, message_id=message_id, date=letter.date))

    def read(self, reply: Reply) -> Outcome:
        return read_reply(reply)

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return rfc_message_id(dispatch, account)
