"""Recipients that a run did not reach, and resends to them, in JSON."""

from typing import Any

from marshmallow import fields, validate

from mailroom.domain.messages.model import StoredMessage
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import PageOut
from scheduler_api.schemas import messages as message_schemas


class MissedOut(message_schemas.MessageOut):
    sent_again = fields.String(allow_none=True, metadata={"description": "the run that carries it instead"})


class Unreached(PageOut):
    items = fields.List(fields.Nested(MissedOut))
    left = fields.Integer(
        metadata={"description": "how many of all of them no other run carries, as of the first page"}
    )


class AgainIn(RequestBody):
    content = fields.String(
        validate=validate.OneOf(["same", "newest"]), metadata={"description": "of that run (default), or the newest"}
    )
    even_if_paused = fields.Boolean(truthy={True}, falsy={False})


def missed(message: StoredMessage) -> dict[str, Any]:
    return message_schemas.message(message) | {"sent_again": message.sent_again}
