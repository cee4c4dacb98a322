"""Attachments in JSON, of single mails and of schedules."""

from marshmallow import Schema, fields

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
