"""What a run sent to a recipient, in JSON."""

from typing import Any

from marshmallow import Schema, fields

from mailroom.domain.rendered_mails import RenderedMail


class MessageContentOut(Schema):
    address = fields.String()
    subject = fields.String()
    text = fields.String()
    html = fields.String()
    headers = fields.Dict(keys=fields.String(), values=fields.String())


def message_content(mail: RenderedMail) -> dict[str, Any]:
    return {
        "address": mail.recipient.address,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "headers": dict(mail.headers),
    }
