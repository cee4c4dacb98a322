"""Acts on a schedule, and its next runs, in JSON."""

from marshmallow import Schema, fields

from scheduler_api.arguments import RequestBody
from scheduler_api.schemas.runs import TollOut
from scheduler_api.schemas.schedules import OccurrenceOut, ScheduleSummary


class PausedSchedule(ScheduleSummary):
    mails = fields.Nested(TollOut)


class RunNowIn(RequestBody):
    even_if_paused = fields.Boolean(truthy={True}, falsy={False})


class Occurrences(Schema):
    items = fields.List(fields.Nested(OccurrenceOut))
