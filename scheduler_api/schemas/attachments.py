"""Attachments in JSON, of single mails and of schedules."""

from typing import Any

from marshmallow import Schema, fields

from mailroom.domain.attached_files import AttachedFile
from mailroom.domain.emails.model import ShownAttachment
from scheduler_api.arguments import RequestBody


class AttachmentIn(RequestBody):
    filename = fields.String(required=True)
    content_type = fields.String()
    content = fields.String(required=True, metadata={"description": "base64"})
    content_id = fields.String(metadata={"description": "shown in the HTML as cid:..., not beside it"})


class ShownAttachmentOut(Schema):
    filename = fields.String()
    content_type = fields.String()
    content_id = fields.String(allow_none=True)
    size = fields.Integer(metadata={"description": "bytes"})


def shown_attachment(file: AttachedFile | ShownAttachment) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "content_type": file.content_type,
        "content_id": file.content_id or None,
        "size": file.size,
    }
