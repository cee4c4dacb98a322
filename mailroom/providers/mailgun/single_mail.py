"""Single mails for Mailgun: `POST /v3/{domain}/messages`, and `/messages.mime` for a part of a mail's recipients.

Without recipient variables everybody sees the To and Cc lists, and each address gets one copy. Once a mail was split,
its headers still name everybody, and the envelope only those who have not got it: that takes the MIME form.
Source: documentation.mailgun.com, "Send an email", "Send an email in MIME format" (read 2026-11).
"""

from collections.abc import Iterable, Iterator

from mailroom.domain.emails.model import Attachment, Place
from mailroom.domain.ids import rfc_message_id
from mailroom.providers.base import Letter
from mailroom.providers.mailgun.multipart import END, fields, file
from mailroom.providers.mime import as_mime


def whole(letter: Letter, domain: str) -> bytes:
    """The form for a mail to all of its recipients."""
    email, body = letter.email, letter.email.body
    parts = [("from", email.sender)]
    parts += [(place, str(mailbox)) for place in Place for mailbox in email.at(place)]
    parts.append(("subject", email.subject))
    parts += [(name, text) for name, text in (("text", body.text), ("html", body.html)) if text]
    if email.reply_to:
        parts.append(("h:Reply-To", email.reply_to))
    parts += [(f"h:{name}", value) for name, value in body.headers.items()]
    parts.append(("h:Message-Id", f"<{rfc_message_id(letter.dispatch, domain)}>"))
    return b"".join([fields(parts), *files(body.attachments), fields(_ours(letter)), END])


def files(attachments: Iterable[Attachment]) -> Iterator[bytes]:
    """The files of a mail, or of each mail of a batch. Mailgun takes an inline file's name for its content id."""
    for attachment in attachments:
        name, filename = (
            ("inline", attachment.content_id) if attachment.content_id else ("attachment", attachment.filename)
        )
        yield file(name, filename, attachment.content_type, attachment.content)


def in_part(letter: Letter, domain: str) -> bytes:
    """The MIME form for a mail to some of its recipients."""
    message = as_mime(letter.email, message_id=rfc_message_id(letter.dispatch, domain), date=letter.date)
    to = fields(("to", address) for address in letter.recipients)
    mail = file("message", "message.eml", "message/rfc822", message)
    return b"".join([to, mail, fields(_ours(letter)), END])


def _ours(letter: Letter) -> Iterator[tuple[str, str]]:
    for tag in letter.email.tags:
        yield "o:tag", tag
    yield "v:run", letter.run
    yield "v:dispatch", letter.dispatch
    yield "v:attempt", str(letter.attempt)
