"""Acts on a schedule, and its next runs, in JSON."""

from collections.abc import Sequence
from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.addresses import MAX_MAILBOX
from mailroom.domain.content_checks import Hint
from mailroom.domain.rendered_mails import RenderedMail
from mailroom.services.schedules.send_test import TestMail
from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.recurrences import OccurrenceOut
from scheduler_api.schemas.schedule_drafts import ScheduleIn
from scheduler_api.schemas.schedules import ScheduleSummary
from scheduler_api.schemas.tolls import TollOut

_CONTACT_DOC: Final = {"description": "an address among the recipients; the first if left out"}

_HINTS_DOC: Final = {"description": "what may go wrong with it, and how many lack its merge fields"}


class PausedSchedule(ScheduleSummary):
    mails = fields.Nested(TollOut)


class RenderIn(RequestBody):
    contact = fields.String(allow_none=True, validate=validate.Length(max=MAX_MAILBOX), metadata=_CONTACT_DOC)


class DraftToRender(ScheduleIn, RenderIn):
    """A schedule that is not stored, and for whom it is rendered."""


class HintOut(Schema):
    code = fields.String()
    message = fields.String()


class RenderedOut(Schema):
    contact = fields.String(metadata={"description": "for whom it is rendered"})
    subject = fields.String()
    preheader = fields.String()
    text = fields.String()
    html = fields.String()
    headers = fields.Dict(keys=fields.String(), values=fields.String())
    hints = fields.List(
        fields.Nested(HintOut), metadata={"description": "what may go wrong with it, and who lacks its fields"}
    )
    feed = fields.Dict(allow_none=True, metadata={"description": "the feed as it is now; null without one"})


class TestIn(RenderIn):
    to = fields.List(fields.String(validate=validate.Length(max=MAX_MAILBOX)), required=True)


class TestMailOut(Schema):
    id = fields.String()
    address = fields.String()
    status = fields.String()


class TestOut(Schema):
    items = fields.List(fields.Nested(TestMailOut))


def rendered(mail: RenderedMail, hints: Sequence[Hint]) -> dict[str, Any]:
    return {
        "contact": mail.recipient.address,
        "subject": mail.subject,
        "preheader": mail.preheader,
        "text": mail.text,
        "html": mail.html,
        "headers": dict(mail.headers),
        "hints": [{"code": hint.code, "message": hint.message} for hint in hints],
        "feed": mail.feed,
    }


def sent_tests(mails: Sequence[TestMail]) -> dict[str, Any]:
    return {
        "items": [{"id": mail.accepted.id, "address": mail.address, "status": mail.accepted.status} for mail in mails]
    }


class RunNowIn(RequestBody):
    even_if_paused = fields.Boolean(truthy={True}, falsy={False})


class Occurrences(Schema):
    items = fields.List(fields.Nested(OccurrenceOut))
