"""Acts on a schedule, and its next runs, in JSON."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.addresses import MAX_MAILBOX
from mailroom.services.schedules.rendering import RenderedMail
from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.runs import TollOut
from scheduler_api.schemas.schedules import OccurrenceOut, ScheduleIn, ScheduleSummary

_CONTACT_DOC: Final = {"description": "an address among the recipients; the first if left out"}


class PausedSchedule(ScheduleSummary):
    mails = fields.Nested(TollOut)


class RenderIn(RequestBody):
    contact = fields.String(allow_none=True, validate=validate.Length(max=MAX_MAILBOX), metadata=_CONTACT_DOC)


class DraftToRender(ScheduleIn, RenderIn):
    """A schedule that is not stored, and for whom it is rendered."""


class RenderedOut(Schema):
    contact = fields.String(metadata={"description": "for whom it is rendered"})
    subject = fields.String()
    text = fields.String()
    html = fields.String()
    headers = fields.Dict(keys=fields.String(), values=fields.String())


def rendered(mail: RenderedMail) -> dict[str, Any]:
    return {
        "contact": mail.recipient.address,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "headers": dict(mail.headers),
    }


class RunNowIn(RequestBody):
    even_if_paused = fields.Boolean(truthy={True}, falsy={False})


class Occurrences(Schema):
    items = fields.List(fields.Nested(OccurrenceOut))
