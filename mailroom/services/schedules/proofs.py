"""What would be sent, and to whom, before it goes: of a stored schedule, or of one that is not stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from mailroom.domain.audiences import Recipient
from mailroom.domain.draft_checks import Checked
from mailroom.domain.drafts import Draft, DraftChanges
from mailroom.domain.ids import AudienceId, ScheduleId
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Kind, Recurrence
from mailroom.domain.schedules import Content
from mailroom.services.mails.templates import get_version
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules.create import content_of
from mailroom.services.schedules.drafts import ChosenAudience, Origin, Stays
from mailroom.services.schedules.edit import edited_draft
from mailroom.services.schedules.view import get
from mailroom.storage.database import Db, server_now

_NOT_STORED: Final = AudienceId("")
# In place of what a form lacks that no mail is made of.
_SOME_NAME: Final = "Unnamed"
_SOME_RULE: Final = Recurrence(Kind.CRON, "UTC", datetime(2026, 1, 1, tzinfo=UTC), expression="0 9 * * *")


@dataclass(frozen=True, slots=True)
class CampaignProof:
    """`own`: the recipients of a draft that brings them along, in the order of their folded addresses; None: it goes to
    the lists that the content names."""

    content: Content
    own: Sequence[Recipient] | None = None


def of_schedule(db: Db, schedule_id: ScheduleId) -> CampaignProof:
    """The newest content of a schedule. Raises ScheduleNotFound."""
    return CampaignProof(_with_preheader(db, get(db, schedule_id).content))


def of_draft(db: Db, draft: Draft) -> CampaignProof:
    """A draft, checked as if it were to be saved. Raises InvalidInput with every fault, SendersTooOld, Unavailable."""
    return _proof(db, *schedule_drafts.checked(db, draft, now=server_now(db)))


def of_form(db: Db, draft: Draft) -> CampaignProof:
    """A new schedule that a person still writes: its name may be missing, its times be wrong, and recipients may lack
    merge fields. Raises InvalidInput with every fault of the mail itself, SendersTooOld, Unavailable."""
    stays = Stays(rule=_SOME_RULE)
    return _proof(db, *schedule_drafts.checked(db, _in_writing(draft), now=server_now(db), stays=stays))


def of_edited_form(db: Db, schedule_id: ScheduleId, changes: DraftChanges) -> CampaignProof:
    """As `of_form`, of a stored schedule with these changes. Raises ScheduleNotFound too."""
    draft, stays = edited_draft(db, get(db, schedule_id), changes)
    return _proof(db, *schedule_drafts.checked(db, _in_writing(draft), now=server_now(db), stays=stays))


def _in_writing(draft: Draft) -> Draft:
    """The draft without what decides only when its mail goes."""
    name = draft.name if draft.name.strip() else _SOME_NAME
    return replace(
        draft, name=name, in_writing=True, misfire={}, delivery=DeliveryTime.SCHEDULE_TIME, default_time_zone=""
    )


def _proof(db: Db, checked: Checked, chosen: ChosenAudience | None) -> CampaignProof:
    if chosen:
        return CampaignProof(_with_preheader(db, content_of(checked, chosen)))
    own = ChosenAudience(_NOT_STORED, len(checked.recipients), Origin.NEW)
    return CampaignProof(_with_preheader(db, content_of(checked, own)), checked.recipients)


def _with_preheader(db: Db, content: Content) -> Content:
    """The content; its preheader is that of its template, whose HTML holds it already, where it has none itself."""
    written = content.as_written
    if content.template is None or written.preheader:
        return content
    return replace(content, written=replace(written, preheader=get_version(db, content.template).source.preheader))
