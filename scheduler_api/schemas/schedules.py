"""Schedules in JSON: what is asked for (loads into a Draft's fields) and what is shown."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Final

from marshmallow import Schema, ValidationError, fields, pre_load, validate

from mailroom.domain.addresses import MAX_MAILBOX
from mailroom.domain.attached_files import AttachedFile
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import (
    MAX_AUDIENCES,
    MAX_CAMPAIGN_FILES,
    MAX_EXPRESSION,
    MAX_HTML,
    MAX_MARKDOWN,
    MAX_MJML,
    MAX_NAME,
    MAX_NEXT_RUNS,
    MAX_PAGE,
    MAX_PREHEADER,
    MAX_RECIPIENTS,
    MAX_REPLY_TO,
    MAX_SUBJECT,
    MAX_TAG,
    MAX_TAGS,
    MAX_TEXT,
    MAX_TOPIC_ID,
)
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Kind, Occurrence, Recurrence
from mailroom.domain.schedules import DEFAULT_GRACE_S, LastTimes, MisfirePolicy, Schedule, ScheduleState
from mailroom.services.schedules.view import StoredSchedule
from scheduler_api.arguments import Patch, RequestBody
from scheduler_api.schemas.attachments import AttachmentIn, ShownAttachmentOut
from scheduler_api.schemas.feeds import FeedIn, feed_out


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
_MOMENT_DOC: Final = {"type": "string", "description": "ISO 8601; without an offset local to the time zone"}


class MomentField(fields.Field[datetime]):
    """ISO 8601; without an offset it is local to the recurrence's time zone."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
            if moment.year < 1970 or moment.year > 2200:
                raise ValueError
        except (TypeError, ValueError):
            raise ValidationError("Not a date and time in ISO 8601, such as 2026-12-01T09:00:00.") from None
        return moment


class Texts(fields.Field[dict[str, str]]):
    """An object whose values are all strings."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValidationError("Not an object.")
        wrong = {name: ["Not a valid string."] for name, text in value.items() if not isinstance(text, str)}
        if wrong:
            raise ValidationError(wrong)
        return value


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


class RecurrenceIn(RequestBody):
    kind = fields.String(required=True, validate=validate.OneOf(list(Kind)))
    expression = fields.String(allow_none=True, validate=validate.Length(max=MAX_EXPRESSION))
    at = MomentField(allow_none=True, metadata=_MOMENT_DOC)
    seconds = fields.Integer(strict=True, allow_none=True)
    time_zone = fields.String(load_default="UTC", validate=validate.Length(max=64))
    starts_at = MomentField(allow_none=True, metadata=_MOMENT_DOC)
    ends_at = MomentField(allow_none=True, metadata=_MOMENT_DOC)
    max_runs = fields.Integer(strict=True, allow_none=True)


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


TEXT_DOC: Final = "null, or left out: it is made from the HTML; empty: there is none"
MARKDOWN_DOC: Final = "in place of html"
MJML_DOC: Final = "in place of html: a document of mjml.io"
PREHEADER_DOC: Final = "what an inbox shows behind the subject"
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
    headers = Texts(metadata={"type": "object", "description": "further headers of each mail, name to value"})
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
            name: CLEARED[name] if value is None and name in CLEARED else value
            for name, value in data.items()
            if name not in unused
        }


CLEARED: Final[Mapping[str, Any]] = {
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


class PreviewIn(RequestBody):
    recurrence = fields.Nested(RecurrenceIn, required=True)
    count = fields.Integer(strict=True, load_default=5, validate=validate.Range(1, MAX_NEXT_RUNS))


class ListQuery(Schema):
    cursor = fields.String()
    limit = fields.Integer(load_default=50, validate=validate.Range(1, MAX_PAGE))


class ScheduleQuery(ListQuery):
    status = fields.String(validate=validate.OneOf(list(ScheduleState)))


class CountQuery(Schema):
    count = fields.Integer(load_default=10, validate=validate.Range(1, MAX_NEXT_RUNS))


_SET_ASIDE_DOC: Final = {"description": "why Mailroom paused it: its stored rule cannot be computed; null else"}


_LAST_RUN_DOC: Final = {
    "description": "the due instant of its newest run, of one that was asked for too; null before the first"
}
_LAST_SENT_DOC: Final = {
    "description": "when a provider last accepted one of its mails, to the second; null before the first"
}
_RESTORED_DOC: Final = {"description": "since when it is out of the archive, until it is resumed; null else"}


_COUNT_DOC: Final = "the contacts of its audiences now; one that is in two of them counts twice, excluded ones count"


class ScheduleOut(Schema):
    id = fields.String()
    name = fields.String()
    status = fields.String()
    set_aside = fields.String(allow_none=True, metadata=_SET_ASIDE_DOC)
    next_run_at = fields.String(allow_none=True)
    last_run_at = fields.String(allow_none=True, metadata=_LAST_RUN_DOC)
    last_sent_at = fields.String(allow_none=True, metadata=_LAST_SENT_DOC)
    restored_at = fields.String(allow_none=True, metadata=_RESTORED_DOC)
    restored_by = fields.String(allow_none=True)
    from_ = fields.String(data_key="from", attribute="from")
    reply_to = fields.String()
    subject = fields.String()
    text = fields.String(metadata={"description": "as it is sent"})
    text_made = fields.Boolean(metadata={"description": "it was made from the HTML"})
    html = fields.String(metadata={"description": "as it was written"})
    markdown = fields.String()
    mjml = fields.String()
    preheader = fields.String()
    inline_css = fields.Boolean()
    headers = fields.Dict(keys=fields.String(), values=fields.String())
    audience = fields.String(metadata={"description": "the id of its audience, or of the first of several"})
    audiences = fields.List(fields.String(), metadata={"description": "the whole ones that it goes to"})
    segments = fields.List(fields.String())
    left_out = fields.List(fields.String(), data_key="exclude", attribute="exclude")
    recipients_count = fields.Integer(metadata={"description": _COUNT_DOC})
    recurrence = fields.Dict()
    misfire = fields.Dict()
    tags = fields.List(fields.String())
    feed = fields.Dict(allow_none=True)
    topic = fields.String(allow_none=True)
    delivery = fields.String()
    default_time_zone = fields.String(metadata={"description": "empty: that of the recurrence"})
    template = fields.String(allow_none=True)
    template_version = fields.Integer(allow_none=True, metadata={"description": "the version whose content it sends"})
    attached = fields.List(fields.Nested(ShownAttachmentOut), metadata={"description": "its attachments"})
    revision = fields.Integer()
    version = fields.Integer()
    created_at = fields.String()
    updated_at = fields.String()


class ScheduleSummary(Schema):
    id = fields.String()
    name = fields.String()
    status = fields.String()
    set_aside = fields.String(allow_none=True, metadata=_SET_ASIDE_DOC)
    next_run_at = fields.String(allow_none=True)
    last_run_at = fields.String(allow_none=True, metadata=_LAST_RUN_DOC)
    last_sent_at = fields.String(allow_none=True, metadata=_LAST_SENT_DOC)
    restored_at = fields.String(allow_none=True, metadata=_RESTORED_DOC)
    restored_by = fields.String(allow_none=True)
    recurrence = fields.Dict()
    created_at = fields.String()
    updated_at = fields.String()
    version = fields.Integer()


_READ_ONLY_DOC: Final = {"description": "read-only: ignored where it is as stored, refused where it is not"}
# They move on by themselves between a GET and the PATCH that gives its answer back; so they are ignored in any case.
_MOVING: Final = frozenset({"last_run_at", "last_sent_at", "recipients_count"})
READ_ONLY: Final = sorted(
    {field.data_key or name for name, field in ScheduleOut().fields.items()}
    - {field.data_key or name for name, field in ScheduleEdit().fields.items()}
)


class OccurrenceOut(Schema):
    at = fields.String()
    at_utc = fields.String()
    note = fields.String(allow_none=True)


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


def summary(schedule: Schedule, last: LastTimes) -> dict[str, Any]:
    """A schedule without its content, times in its own zone."""
    zone = schedule.recurrence.zone

    def local(moment: datetime | None) -> str | None:
        return moment.astimezone(zone).isoformat() if moment else None

    return {
        "id": schedule.id,
        "name": schedule.name,
        "status": schedule.state,
        "set_aside": schedule.set_aside or None,
        "next_run_at": local(schedule.next_run_at),
        "last_run_at": local(last.ran_at),
        "last_sent_at": local(last.sent_at),
        "restored_at": schedule.restored_at.isoformat() if schedule.restored_at else None,
        "restored_by": schedule.restored_by or None,
        "recurrence": recurrence_out(schedule.recurrence),
        "misfire": {"policy": schedule.misfire.policy, "grace_s": schedule.misfire.grace_s},
        "revision": schedule.revision,
        "version": schedule.version,
        "created_at": schedule.created_at.isoformat(),
        "updated_at": schedule.updated_at.isoformat(),
    }


def whole(stored: StoredSchedule, last: LastTimes) -> dict[str, Any]:
    """A schedule with its newest content; its recipients are counted, not listed."""
    content, written = stored.content, stored.content.as_written
    return summary(stored.schedule, last) | {
        "from": content.sender,
        "reply_to": content.reply_to,
        "subject": content.subject,
        "text": content.text,
        "text_made": written.text is None,
        "html": written.html,
        "markdown": written.markdown,
        "mjml": written.mjml,
        "preheader": written.preheader,
        "inline_css": written.inline_css,
        "headers": dict(content.headers),
        "tags": list(content.tags),
        "topic": content.topic or None,
        "template": content.template.name if content.template else None,
        "template_version": content.template.version if content.template else None,
        "feed": feed_out(content.feed),
        "delivery": stored.schedule.delivery,
        "default_time_zone": stored.schedule.default_time_zone,
        "attached": [_shown_file(file) for file in content.files],
        "audience": content.audience,
        "audiences": [one.audience for one in content.goes_to if one.segment is None],
        "segments": [one.segment for one in content.goes_to if one.segment],
        "exclude": [one.segment or one.audience for one in content.excluded],
        "recipients_count": content.recipients,
    }


def _shown_file(file: AttachedFile) -> dict[str, Any]:
    return {
        "filename": file.filename,
        "content_type": file.content_type,
        "content_id": file.content_id or None,
        "size": file.size,
    }


def recurrence_out(rule: Recurrence) -> dict[str, Any]:
    shown: dict[str, Any] = {"kind": rule.kind, "time_zone": rule.time_zone}
    match rule.kind:
        case Kind.ONCE:
            shown["at"] = rule.at.isoformat() if rule.at else None
        case Kind.EVERY:
            shown["seconds"] = rule.seconds
        case Kind.CRON | Kind.RRULE:
            shown["expression"] = rule.expression
    for name in ("starts_at", "ends_at"):
        moment = getattr(rule, name)
        shown[name] = moment.astimezone(rule.zone).isoformat() if moment else None
    return shown | {"max_runs": rule.max_runs}


def occurrence(rule_zone: Any, due: Occurrence) -> dict[str, Any]:
    return {
        "at": due.at.astimezone(rule_zone).isoformat(),
        "at_utc": due.at.isoformat().replace("+00:00", "Z"),
        "note": due.note,
    }
