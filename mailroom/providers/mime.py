"""Mails as MIME messages, for vendors that take whole messages. The envelope decides the recipients; no header names
those of `bcc`.

Built by the standard library's email package (RFC 5322, 2045 to 2049, 2387).
"""

import re
from collections.abc import Sequence
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from mailroom.domain import run_content
from mailroom.domain.addresses import Mailbox, parse_mailbox, parse_mailboxes
from mailroom.domain.emails.content_types import ContentType, parse_content_type
from mailroom.domain.emails.model import Addressee, Attachment, Body, Email, Place, Priority
from mailroom.providers.base import Batch, Letter

_MOST_ENCODED: Final = 76  # characters of a line that holds an encoded word: RFC 2047 2
_LINE: Final = _MOST_ENCODED - len("Reply-To: ")
# Some servers on the way do not take eight bits (RFC 6152), and a relay that recodes a mail breaks its signature.
_SEVEN_BITS: Final = SMTP.clone(cte_type="7bit", refold_source="none")
_LONGEST: Final = 900  # characters: a line has at most 998 (RFC 5322 2.1.1)


def as_mime(email: Email, *, message_id: str, date: datetime) -> bytes:
    """The message with CRLF line ends. `message_id` is the header's value without brackets."""
    message = EmailMessage(policy=_SEVEN_BITS)
    _write_body(message, email)
    # Written by ourselves. The library would fold a long one, even into encoded words, which breaks List-Unsubscribe
    # and its like, and hides the id from who looks for it; and it decodes what looks like an encoded word, line breaks
    # within (python/cpython#121650).
    head = {
        "Message-ID": f"<{message_id}>",
        "Date": format_datetime(date),
        "From": _mailboxes([parse_mailbox(email.sender)]),
    }
    for place, header in ((Place.TO, "To"), (Place.CC, "Cc")):
        if mailboxes := email.at(place):
            head[header] = _mailboxes(mailboxes)
    if email.reply_to:
        head["Reply-To"] = _mailboxes(parse_mailboxes(email.reply_to))
    head |= {"Subject": _words(email.subject), **email.body.headers}
    lines = [_line(name, value) for name, value in head.items()]
    return "".join(lines).encode("ascii") + _with_crlf(message.as_bytes())


def letter_of(batch: Batch) -> Letter:
    """A batch of one recipient as a single mail, with all placeholders filled."""
    (message,) = batch.messages
    content = run_content.compiled(batch.content, batch.run_values)
    subject, text, html = (
        part.with_placeholders(message.parts.__getitem__) for part in (content.subject, content.text, content.html)
    )
    email = Email(
        sender=batch.content.sender,
        reply_to=batch.content.reply_to,
        addressees=[Addressee(Mailbox(message.address, message.name), Place.TO)],
        subject=subject,
        body=Body(text, html, batch.headers(message.parts), batch.files),
        tags=batch.content.tags,
        metadata={},
        priority=Priority.NORMAL,
        send_at=None,
    )
    return Letter(batch.dispatch, batch.attempt, batch.run, email, [message.address], batch.date)


def _write_body(message: EmailMessage, email: Email) -> None:
    body = email.body
    if body.text or not body.html:
        message.set_content(body.text)
    if body.html:
        if body.text:
            message.add_alternative(body.html, subtype="html")
        else:
            message.set_content(body.html, subtype="html")
    for attachment in body.attachments:
        if attachment.content_id and body.html:
            _add_inline(message, attachment)
    for attachment in body.attachments:
        if not (attachment.content_id and body.html):
            kind = _type_of(attachment)
            message.add_attachment(
                attachment.content,
                maintype=kind.main,
                subtype=kind.sub,
                params=kind.parameters,
                filename=attachment.filename,
            )


def _add_inline(message: EmailMessage, attachment: Attachment) -> None:
    """Add a file beside the HTML that shows it: RFC 2387."""
    html = message.get_body(preferencelist=("related", "html"))
    if not isinstance(html, EmailMessage):
        raise ValueError("an inline attachment needs an HTML body")
    kind = _type_of(attachment)
    html.add_related(
        attachment.content,
        maintype=kind.main,
        subtype=kind.sub,
        params=kind.parameters,
        filename=attachment.filename,
        disposition="inline",
    )
    # Written raw: the library would fold a long one into encoded words, and no HTML would find it.
    list(html.iter_parts())[-1].set_raw("Content-ID", f"<{attachment.content_id}>")


def _type_of(attachment: Attachment) -> ContentType:
    """The file's type. Messages and multiparts go as plain bytes: as themselves their parts would be parsed."""
    kind = parse_content_type(attachment.content_type)
    return ContentType("application", "octet-stream") if kind.main in ("message", "multipart") else kind


def _mailboxes(mailboxes: Sequence[Mailbox]) -> str:
    """The mailboxes, each on a line of its own."""
    return ",\r\n ".join(_mailbox(mailbox) for mailbox in mailboxes)


def _mailbox(mailbox: Mailbox) -> str:
    if not mailbox.name or _is_plain(mailbox.name):
        return str(mailbox)
    name = _words(mailbox.name)
    beside = len(name) - name.rfind("\n") + len(mailbox.address) + len("Reply-To:  <>,") <= _MOST_ENCODED
    return f"{name} <{mailbox.address}>" if beside else f"{name}\r\n <{mailbox.address}>"


def _words(text: str) -> str:
    """The text, as encoded words (RFC 2047) if it is not plain ASCII or too long for a line."""
    return (
        text
        if _is_plain(text) and len(text) <= _LONGEST
        else Header(text, "utf-8", maxlinelen=_LINE).encode(linesep="\r\n")
    )


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and "=?" not in text


def _line(name: str, value: str) -> str:
    """The value of one header. Raises ValueError for a value that would begin another header."""
    if re.search(r"\r(?!\n )|(?<!\r)\n", value):
        raise ValueError(f"the header {name} would be broken in two")
    return f"{name}: {value}\r\n"


def _with_crlf(raw: bytes) -> bytes:
    """The text with CRLF line ends only: servers differ in what a lone CR or LF means."""
    return re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
