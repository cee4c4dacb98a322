"""An SMTP server as a provider: one message a call, to all recipients of a single mail, or to one of a campaign.

There is no log to ask: a lost answer to the final dot stays in doubt.

With return paths each call has one recipient, so that a bounce is about this one alone, whatever it says: of a call to
several, each recipient would know the return path of the others.
"""

from typing import Final
from urllib.parse import parse_qs, urlsplit

from msgspec.structs import replace

from mailroom.domain.addresses import parse_mailbox
from mailroom.domain.dispatches.outcomes import Accepted, InPart, Outcome
from mailroom.domain.ids import DispatchId, rfc_message_id
from mailroom.domain.return_paths import ReturnPaths
from mailroom.providers.base import Batch, CannotBeAsked, Letter, SendInParts
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

    def __init__(
        self,
        *,
        url: str,
        call_timeout_s: float,
        idle_limit_s: float,
        return_paths: ReturnPaths | None = None,
        bounces_read: bool = False,
    ) -> None:
        """`return_paths`: None sends with the From address as the envelope's sender. `bounces_read`: a mailbox is read
        to which they lead."""
        self._url = urlsplit(url)
        self._return_paths, self._bounces_read = return_paths, bounces_read and return_paths is not None
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
        if self._return_paths is not None:
            if len(letter.recipients) > 1:
                raise SendInParts(1)
            sender = self._return_paths.of(letter.run, letter.recipients[0])
        return Envelope(sender, letter.recipients, as_mime(letter.email, message_id=message_id, date=letter.date))

    def read(self, reply: Reply) -> Outcome:
        outcome = read_reply(reply)
        if self._bounces_read and isinstance(outcome, Accepted | InPart):
            return replace(outcome, bounces_read=True)
        return outcome

    def log_name(self, dispatch: DispatchId, account: str) -> str:
        return rfc_message_id(dispatch, account)
