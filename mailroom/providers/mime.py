"""Mails as MIME messages, for vendors that take one whole. Whom it goes to is a matter of the envelope: `bcc`
stands in no header.

Built by the standard library's email package (RFC 5322, 2045 to 2049, 2387).
"""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from mailroom.domain.addresses import Mailbox, parse_mailbox
from mailroom.domain.content import compile_content
from mailroom.domain.emails.model import Addressee, Attachment, Body, Email, Place, Priority
from mailroom.providers.base import Batch, Letter


def as_mime(email: Email, *, message_id: str, date: datetime) -> bytes:
    """The message with CRLF line ends. `message_id` is the header's value without brackets."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _address(parse_mailbox(email.sender))
    for place, header in ((Place.TO, "To"), (Place.CC, "Cc")):
        if mailboxes := email.at(place):
            message[header] = [_address(mailbox) for mailbox in mailboxes]
    if email.reply_to:
        message["Reply-To"] = _address(parse_mailbox(email.reply_to))
    message["Subject"] = email.subject
    message["Date"] = format_datetime(date)
    _write_body(message, email)
    # In one line each, as they are: the library would fold a long one, even into encoded words, which breaks
    # List-Unsubscribe and its like, and hides the id from who looks for it.
    plain = {"Message-ID": f"<{message_id}>", **email.body.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in plain.items())
    return head.encode("ascii") + message.as_bytes()


def letter_of(batch: Batch) -> Letter:
    """A batch of one as a single mail, with everything written out."""
    (message,) = batch.messages
    content = compile_content(batch.content.subject, batch.content.text, batch.content.html)
    subject, text, html = (
        part.with_placeholders(message.parts.__getitem__) for part in (content.subject, content.text, content.html)
    )
    email = Email(
        sender=batch.content.sender,
        reply_to=batch.content.reply_to,
        addressees=[Addressee(Mailbox(message.address, message.name), Place.TO)],
        subject=subject,
        body=Body(text, html, {}, ()),
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
            main, sub = _type_of(attachment)
            message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=attachment.filename)


def _add_inline(message: EmailMessage, attachment: Attachment) -> None:
    """Beside the HTML that shows it: RFC 2387."""
    html = message.get_body(preferencelist=("related", "html"))
    if not isinstance(html, EmailMessage):
        raise ValueError("an inline attachment needs an HTML body")
    main, sub = _type_of(attachment)
    html.add_related(
        attachment.content,
        maintype=main,
        subtype=sub,
        cid=f"<{attachment.content_id}>",
        filename=attachment.filename,
        disposition="inline",
    )


def _type_of(attachment: Attachment) -> tuple[str, str]:
    """Messages and multiparts have parts of their own, and could not be carried as the bytes that they are."""
    main, sub = attachment.content_type.lower().split("/", 1)
    return ("application", "octet-stream") if main in ("message", "multipart") else (main, sub)


def _address(mailbox: Mailbox) -> Address:
    return Address(display_name=mailbox.name, addr_spec=mailbox.address)
