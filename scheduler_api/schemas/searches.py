"""Searches of lists in JSON: what can be asked for, and how many rows are found."""

from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_NAME
from mailroom.domain.runs import RunState
from mailroom.domain.searches import COUNTED, MOST_NAMED, BoundedCount, RunOrder, ScheduleOrder
from mailroom.services.reports.run_search import ListedRun
from scheduler_api.paging import ListQuery, PageOut
from scheduler_api.schemas.emails import EmailPage, EmailQuery
from scheduler_api.schemas.instants import INSTANT, MomentField
from scheduler_api.schemas.messages import MessageOut
from scheduler_api.schemas.runs import RunOut, run
from scheduler_api.schemas.schedules import ScheduleQuery, ScheduleSummary

NAME_DOC: Final = "a word of the name begins with it, whatever its case: `dig`, or `digest for r`"
_TOTAL: Final = {"description": f"`true`: say how many are found, up to {COUNTED:,}"}


class CountedPageOut(PageOut):
    """A page that may say how many rows the whole list has."""

    total = fields.Integer(allow_none=True, metadata={"description": "where it was asked for"})
    total_is_exact = fields.Boolean(allow_none=True, metadata={"description": "false: there are more than `total`"})


class TotalQuery(Schema):
    total = fields.Boolean(truthy={"true"}, falsy={"false"}, metadata=_TOTAL)


class ScheduleSearchQuery(ScheduleQuery, TotalQuery):
    name = fields.String(validate=validate.Length(max=MAX_NAME), metadata={"description": NAME_DOC})
    sort = fields.String(
        load_default=ScheduleOrder.NEWEST.value,
        validate=validate.OneOf(list(ScheduleOrder)),
        metadata={"description": "`-` is downwards; schedules without a next run come last"},
    )


class RunSearchQuery(ListQuery, TotalQuery):
    schedule = fields.String(
        validate=validate.Length(max=MAX_NAME),
        metadata={"description": f"of the schedules with such a name, at most {MOST_NAMED}: {NAME_DOC}"},
    )
    schedule_id = fields.String(validate=validate.Length(max=200))
    status = fields.String(validate=validate.OneOf(list(RunState)))
    since = MomentField(metadata=INSTANT)
    until = MomentField(metadata=INSTANT)
    sort = fields.String(load_default=RunOrder.LATEST_DUE.value, validate=validate.OneOf(list(RunOrder)))


class SchedulePage(CountedPageOut):
    items = fields.List(fields.Nested(ScheduleSummary))


class EmailSearchQuery(EmailQuery, TotalQuery):
    pass


class CountedEmailPage(EmailPage, CountedPageOut):
    pass


class ListedRunOut(RunOut):
    schedule_name = fields.String()


class ListedRunPage(CountedPageOut):
    items = fields.List(fields.Nested(ListedRunOut))


def listed_run(listed: ListedRun) -> dict[str, Any]:
    return run(listed.run) | {"schedule_name": listed.schedule_name}


def total(counted: BoundedCount | None) -> dict[str, Any]:
    """The fields of a CountedPageOut; none where nobody asked."""
    return {} if counted is None else {"total": counted.rows, "total_is_exact": counted.is_exact}


class MessagePage(PageOut):
    items = fields.List(fields.Nested(MessageOut))


class RunPage(PageOut):
    items = fields.List(fields.Nested(RunOut))
