"""An edit of a schedule in JSON: the fields that change, or all that GET shows."""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from marshmallow import fields, pre_load, validate

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_NAME
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.schedules import DEFAULT_GRACE_S, LastTimes, MisfirePolicy
from mailroom.services.schedules.view import StoredSchedule
from scheduler_api.arguments import Patch
from scheduler_api.schemas.recurrences import RecurrenceIn
from scheduler_api.schemas.schedule_drafts import ScheduleIn
from scheduler_api.schemas.schedules import ScheduleOut, whole


class ScheduleEdit(Patch, ScheduleIn):
    """The fields that are to change; a recurrence is given whole."""

    name = fields.String(validate=validate.Length(min=1, max=MAX_NAME))
    sender = fields.String(data_key="from", validate=validate.Length(max=500))
    recurrence = fields.Nested(RecurrenceIn)

    @pre_load
    def clear_what_is_null(self, data: Any, **_: Any) -> Any:
        """Null clears a field that can be empty. Null for `recipients`, `audience`, `audiences` or `segments`
        means that another one is used."""
        if not isinstance(data, dict):
            return data
        unused = {name for name in ("recipients", "audience", "audiences", "segments") if data.get(name, "") is None}
        return {
            name: _CLEARED[name] if value is None and name in _CLEARED else value
            for name, value in data.items()
            if name not in unused
        }


_CLEARED: Final[Mapping[str, Any]] = {
    "reply_to": "",
    "text": None,  # made from the HTML
    "html": "",
    "markdown": "",
    "mjml": "",
    "preheader": "",
    "inline_css": True,
    "headers": {},
    "tags": [],
    "exclude": [],
    "delivery": DeliveryTime.SCHEDULE_TIME.value,
    "default_time_zone": "",
    "attachments": [],
    "misfire": {"policy": MisfirePolicy.RUN_ONCE.value, "grace_s": DEFAULT_GRACE_S},
}

_READ_ONLY_DOC: Final = {"description": "read-only: ignored where it is as stored, refused where it is not"}
# They move on by themselves between a GET and the PATCH that gives its answer back; so they are ignored in any case.
_MOVING: Final = frozenset({"last_run_at", "last_sent_at", "recipients_count"})
READ_ONLY: Final = sorted(
    {field.data_key or name for name, field in ScheduleOut().fields.items()}
    - {field.data_key or name for name, field in ScheduleEdit().fields.items()}
)


class WholeScheduleEdit(ScheduleEdit):
    """An edit that may also carry the read-only fields that GET shows, unchanged: GET's answer is a valid edit."""

    class Meta:
        include: ClassVar = {name: fields.Raw(allow_none=True, metadata=_READ_ONLY_DOC) for name in READ_ONLY}


def require_unchanged(given: dict[str, Any], stored: StoredSchedule) -> dict[str, Any]:
    """The fields of an edit without those that are read-only, and without a template that is named with its stored
    version: it stays. Raises InvalidInput for each read-only field that is not as stored."""
    shown = whole(stored, LastTimes())
    faults = [
        Fault(name, "cannot be changed; leave it out, or give it as it is stored")
        for name in READ_ONLY
        if name not in _MOVING and name in given and given[name] != shown.get(name)
    ]
    if faults:
        raise InvalidInput(*faults)
    kept = {"template"} if "template_version" in given and given.get("template") == shown["template"] else set()
    return {name: value for name, value in given.items() if name not in {*READ_ONLY, *kept}}
