"""Fields that several schemas share, and their descriptions."""

from typing import Any, Final

from marshmallow import ValidationError, fields

from mailroom.domain.addresses import MAX_MAILBOX
from mailroom.domain.limits import MAX_RECIPIENTS, MAX_REPLY_TO


class Recipients(fields.Field[list[dict[str, Any]]]):
    """Rows of address, name and variables. The domain checks each: 100,000 nested schemas take seconds."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            raise ValidationError("Not a list.")
        if len(value) > MAX_RECIPIENTS:
            raise ValidationError(f"At most {MAX_RECIPIENTS:,} recipients.")
        return value


ROWS_DOC: Final = {
    "type": "array",
    "description": 'list of {"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome"}}',
    "items": {
        "type": "object",
        "required": ["address"],
        "properties": {
            "address": {"type": "string"},
            "name": {"type": "string"},
            "variables": {"type": "object"},
            "time_zone": {"type": "string"},
            "language": {"type": "string"},
        },
    },
}


class ReplyTo(fields.Field[str]):
    """One mailbox or several: as a list, or as one text with commas between them."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        written = [value] if isinstance(value, str) else value
        if not isinstance(written, list) or not all(isinstance(one, str) for one in written):
            raise ValidationError("Not a valid string, nor a list of strings.")
        if len(written) > MAX_REPLY_TO or any(len(one) > MAX_MAILBOX * MAX_REPLY_TO for one in written):
            raise ValidationError(f"At most {MAX_REPLY_TO} addresses.")
        return ", ".join(written)


REPLY_TO_DOC: Final = {
    "oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "maxItems": MAX_REPLY_TO}],
    "description": "one mailbox, or several: as a list, or as one text with commas between them",
}


class TextsField(fields.Field[dict[str, str]]):
    """An object whose values are all strings."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("Not an object.")
        wrong = {name: ["Not a valid string."] for name, text in value.items() if not isinstance(text, str)}
        if wrong:
            raise ValidationError(wrong)
        return value


TEXT_DOC: Final = "null, or left out: it is made from the HTML; empty: there is none"
MARKDOWN_DOC: Final = "in place of html"
MJML_DOC: Final = "in place of html: a document of mjml.io"
PREHEADER_DOC: Final = "what an inbox shows behind the subject"
