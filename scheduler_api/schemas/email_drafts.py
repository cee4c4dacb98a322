"""A new single mail in JSON, alone or in a batch: it loads into a draft's fields."""

import functools
from typing import Any

from marshmallow import ValidationError, fields, validate

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import OnDoubt, Priority
from mailroom.domain.limits import (
    MAX_ATTACHMENTS,
    MAX_IDEMPOTENCY_KEY,
    MAX_MAIL_RECIPIENTS,
    MAX_MAILS,
    MAX_MARKDOWN,
    MAX_METADATA,
    MAX_MJML,
    MAX_NAME,
    MAX_PREHEADER,
    MAX_TAG,
    MAX_TAGS,
    MAX_TOPIC_ID,
    MAX_VALUES_DEEP,
    MAX_VALUES_IN_LISTS,
)
from mailroom.domain.plain_values import TOO_DEEP, is_too_deep
from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.attachments import AttachmentIn
from scheduler_api.schemas.instants import MomentField
from scheduler_api.schemas.shared_fields import (
    MARKDOWN_DOC,
    MJML_DOC,
    PREHEADER_DOC,
    REPLY_TO_DOC,
    TEXT_DOC,
    ReplyTo,
    TextsField,
)
from scheduler_api.valid_bodies import GivenFields

_MAILBOXES = {"description": 'list of "Bo <bo@example.org>" or bare addresses'}
_ON_DOUBT = (
    "where nobody knows whether the provider took it: wait until it is known, or go by the next provider after a few "
    "seconds. It may then go twice"
)
_TOPIC = "what its reader may leave: one address, with a link to unsubscribe in the body or the topic's footer"
_INLINE_CSS = "style sheets of the HTML go into the style attributes of its elements too; false if left out"
_SEND_AT = {"type": "string", "description": "ISO 8601 with an offset; at once where it is past or left out"}
_VARIABLES = {
    "type": "object",
    "additionalProperties": True,
    "description": "with it, subject, text and html are templates: {{ name }}. A value is a text, number, true, false, "
    f"null, or a list or object of such values, at most {MAX_VALUES_DEEP} deep and of {MAX_VALUES_IN_LISTS:,} values",
}


class Values(fields.Field[dict[str, Any]]):
    """An object whose values are texts, numbers, null, and lists and objects of these. The domain bounds them; only the
    depth is looked at here, because nothing may walk through them before it is bounded."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("Not an object.")
        deep = {name: [TOO_DEEP] for name, one in value.items() if is_too_deep(one)}
        if deep:
            raise ValidationError(deep)
        return value


def _mailboxes(**more: Any) -> fields.List[str]:
    few = validate.Length(max=MAX_MAIL_RECIPIENTS)
    return fields.List(fields.String(validate=validate.Length(max=500)), validate=few, metadata=_MAILBOXES, **more)


class EmailIn(RequestBody):
    sender = fields.String(required=True, data_key="from", validate=validate.Length(max=500))
    reply_to = ReplyTo(metadata=REPLY_TO_DOC)
    to = _mailboxes(required=True)
    cc = _mailboxes()
    bcc = _mailboxes()
    subject = fields.String()
    text = fields.String(allow_none=True, metadata={"description": TEXT_DOC})
    html = fields.String()
    mjml = fields.String(validate=validate.Length(max=MAX_MJML), metadata={"description": MJML_DOC})
    markdown = fields.String(validate=validate.Length(max=MAX_MARKDOWN), metadata={"description": MARKDOWN_DOC})
    preheader = fields.String(validate=validate.Length(max=MAX_PREHEADER), metadata={"description": PREHEADER_DOC})
    inline_css = fields.Boolean(truthy={True}, falsy={False}, metadata={"description": _INLINE_CSS})
    template = fields.String(
        validate=validate.Length(max=MAX_NAME),
        metadata={"description": "a stored one, instead of subject, text and html"},
    )
    headers = TextsField(metadata={"type": "object", "description": "further headers, name to value"})
    attachments = fields.List(fields.Nested(AttachmentIn), validate=validate.Length(max=MAX_ATTACHMENTS))
    variables = Values(metadata=_VARIABLES)
    tags = fields.List(
        fields.String(validate=validate.Length(min=1, max=MAX_TAG)), validate=validate.Length(max=MAX_TAGS)
    )
    metadata = TextsField(
        metadata={"type": "object", "description": f"your own, at most {MAX_METADATA} entries; not sent"}
    )
    priority = fields.String(validate=validate.OneOf(list(Priority)))
    send_at = MomentField(allow_none=True, metadata=_SEND_AT)
    on_doubt = fields.String(validate=validate.OneOf(list(OnDoubt)), metadata={"description": _ON_DOUBT})
    topic = fields.String(validate=validate.Length(min=1, max=MAX_TOPIC_ID), metadata={"description": _TOPIC})

    def load(self, data: Any, **how: Any) -> Any:
        """As marshmallow does. A valid mail is loaded by its own fields, which are few (see valid_bodies.py)."""
        loaded = None if how else self._given.load(data)
        return super().load(data, **how) if loaded is None else loaded

    @functools.cached_property
    def _given(self) -> GivenFields:
        return GivenFields(self)


class KeyedEmailIn(EmailIn):
    idempotency_key = fields.String(validate=validate.Length(min=1, max=MAX_IDEMPOTENCY_KEY))


class BatchIn(RequestBody):
    """Each mail is looked at by itself, so that a wrong one concerns no other."""

    emails = fields.List(
        fields.Raw(
            allow_none=True,
            metadata={"type": "object", "description": "as for POST /v1/emails, with an idempotency_key"},
        ),
        required=True,
        validate=validate.Length(min=1, max=MAX_MAILS),
    )


def draft(loaded: dict[str, Any]) -> EmailDraft:
    """An empty object of variables makes a template of the mail too: `{{ code }}` is never mailed as it stands."""
    given = {name: value for name, value in loaded.items() if value is not None}
    return EmailDraft(**given, templated="variables" in given)
