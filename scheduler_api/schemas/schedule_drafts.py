"""A new schedule in JSON: it loads into a Draft's fields."""

from typing import Any, Final

from marshmallow import fields, validate

from mailroom.domain.limits import (
    MAX_AUDIENCES,
    MAX_CAMPAIGN_FILES,
    MAX_HTML,
    MAX_MARKDOWN,
    MAX_MJML,
    MAX_NAME,
    MAX_PREHEADER,
    MAX_SUBJECT,
    MAX_TAG,
    MAX_TAGS,
    MAX_TEXT,
    MAX_TOPIC_ID,
)
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.schedules import MisfirePolicy
from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.attachments import AttachmentIn
from scheduler_api.schemas.feeds import FeedIn
from scheduler_api.schemas.recurrences import RecurrenceIn
from scheduler_api.schemas.shared_fields import (
    MARKDOWN_DOC,
    MJML_DOC,
    PREHEADER_DOC,
    REPLY_TO_DOC,
    ROWS_DOC,
    TEXT_DOC,
    Recipients,
    ReplyTo,
    TextsField,
)


class MisfireIn(RequestBody):
    policy = fields.String(validate=validate.OneOf(list(MisfirePolicy)))
    grace_s = fields.Integer(strict=True)


def _ids(words: str, **more: Any) -> Any:
    return fields.List(
        fields.String(validate=validate.Length(min=1, max=64)),
        validate=validate.Length(max=MAX_AUDIENCES),
        metadata={"description": words},
        **more,
    )


_INLINE_CSS_DOC: Final = "style sheets of the HTML go into the style attributes of its elements too; true if left out"
_DELIVERY_DOC: Final = "recipient_time: each contact gets it when its own clock shows the time of the recurrence"
_DEFAULT_ZONE_DOC: Final = "with recipient_time, for contacts without a time zone; left out: that of the recurrence"
_SUBJECT_DOC: Final = "needed, unless a template is named"
_TEMPLATE_DOC: Final = (
    "the name of a stored template that says subject, text and html; its newest version is taken. null: there is none"
)
_TOPIC_DOC: Final = "what its readers may leave; null: its mail needs no consent"


class ScheduleIn(RequestBody):
    """The fields of a new schedule; in an edit each may be left out."""

    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    sender = fields.String(required=True, data_key="from", validate=validate.Length(max=500))
    reply_to = ReplyTo(metadata=REPLY_TO_DOC)
    subject = fields.String(validate=validate.Length(max=MAX_SUBJECT), metadata={"description": _SUBJECT_DOC})
    text = fields.String(allow_none=True, validate=validate.Length(max=MAX_TEXT), metadata={"description": TEXT_DOC})
    html = fields.String(validate=validate.Length(max=MAX_HTML))
    mjml = fields.String(validate=validate.Length(max=MAX_MJML), metadata={"description": MJML_DOC})
    markdown = fields.String(validate=validate.Length(max=MAX_MARKDOWN), metadata={"description": MARKDOWN_DOC})
    preheader = fields.String(validate=validate.Length(max=MAX_PREHEADER), metadata={"description": PREHEADER_DOC})
    inline_css = fields.Boolean(truthy={True}, falsy={False}, metadata={"description": _INLINE_CSS_DOC})
    headers = TextsField(metadata={"type": "object", "description": "further headers of each mail, name to value"})
    recipients = Recipients(metadata=ROWS_DOC)
    audience = fields.String(
        validate=validate.Length(min=1, max=64),
        metadata={"description": "the id of a listed audience, instead of recipients"},
    )
    audiences = _ids("the ids of listed audiences, instead of recipients: an address goes by the first that holds it")
    segments = _ids("the ids of segments, beside audiences or alone")
    left_out = _ids(
        "the ids of audiences and segments to whose contacts nothing goes", data_key="exclude", attribute="exclude"
    )
    recurrence = fields.Nested(RecurrenceIn, required=True)
    misfire = fields.Nested(MisfireIn)
    tags = fields.List(
        fields.String(validate=validate.Length(min=1, max=MAX_TAG)), validate=validate.Length(max=MAX_TAGS)
    )
    topic = fields.String(
        allow_none=True, validate=validate.Length(min=1, max=MAX_TOPIC_ID), metadata={"description": _TOPIC_DOC}
    )
    feed = fields.Nested(FeedIn, allow_none=True)
    delivery = fields.String(validate=validate.OneOf(list(DeliveryTime)), metadata={"description": _DELIVERY_DOC})
    default_time_zone = fields.String(validate=validate.Length(max=64), metadata={"description": _DEFAULT_ZONE_DOC})
    template = fields.String(
        allow_none=True, validate=validate.Length(min=1, max=64), metadata={"description": _TEMPLATE_DOC}
    )
    attachments = fields.List(
        fields.Nested(AttachmentIn),
        validate=validate.Length(max=MAX_CAMPAIGN_FILES),
        metadata={"description": "of each mail; an edit gives all of them, shown as `attached`", "writeOnly": True},
    )
