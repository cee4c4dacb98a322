"""Schedules in JSON, as they are listed and shown."""

from datetime import datetime
from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.schedules import LastTimes, Schedule, ScheduleState
from mailroom.services.schedules.view import StoredSchedule
from scheduler_api.paging import ListQuery
from scheduler_api.schemas.attachments import ShownAttachmentOut, shown_attachment
from scheduler_api.schemas.feeds import feed_out
from scheduler_api.schemas.recurrences import recurrence_out

_SET_ASIDE_DOC: Final = {"description": "why Mailroom paused it: its stored rule cannot be computed; null else"}
_LAST_RUN_DOC: Final = {
    "description": "the due instant of its newest run, of one that was asked for too; null before the first"
}
_LAST_SENT_DOC: Final = {
    "description": "when a provider last accepted one of its mails, to the second; null before the first"
}
_RESTORED_DOC: Final = {"description": "since when it is out of the archive, until it is resumed; null else"}
_AUDIENCE_DOC: Final = "the whole one that it goes to; null where it goes to segments, or to several"
_COUNT_DOC: Final = (
    "the contacts of its audience now; null where it goes to segments or several audiences, or leaves some out: they "
    "are counted when it is sent"
)


class ScheduleQuery(ListQuery):
    status = fields.String(validate=validate.OneOf(list(ScheduleState)))


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
    audience = fields.String(allow_none=True, metadata={"description": _AUDIENCE_DOC})
    audiences = fields.List(fields.String(), metadata={"description": "the whole ones that it goes to"})
    segments = fields.List(fields.String())
    left_out = fields.List(fields.String(), data_key="exclude", attribute="exclude")
    recipients_count = fields.Integer(allow_none=True, metadata={"description": _COUNT_DOC})
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
        "attached": list(map(shown_attachment, content.files)),
        "audience": content.whole_audience,
        "audiences": [one.audience for one in content.goes_to if one.segment is None],
        "segments": [one.segment for one in content.goes_to if one.segment],
        "exclude": [one.segment or one.audience for one in content.excluded],
        "recipients_count": None if content.is_composed else content.recipients,
    }
