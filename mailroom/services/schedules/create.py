"""Schedules made. Used by the API and the pages; edit.py and lifecycle.py change them, view.py shows them."""

from datetime import datetime

from mailroom.domain.draft_checks import Checked
from mailroom.domain.drafts import Draft
from mailroom.domain.ids import ScheduleId, keyed_schedule_id, new_schedule_id
from mailroom.domain.recurrence.upcoming import next_after
from mailroom.domain.schedules import Content, Schedule, ScheduleState
from mailroom.services.common.idempotency import check_key, check_repeated, digest_of_request
from mailroom.services.schedules import drafts as schedule_drafts
from mailroom.services.schedules.view import StoredSchedule, get
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.schedules import attachments, contents, schedules


def create(db: Db, draft: Draft, *, owner: str, key: str | None = None) -> tuple[StoredSchedule, bool]:
    """Store a new schedule, whole or not at all. With an Idempotency-Key the same request again finds the same one.

    Returns it, and whether it is new. Raises InvalidInput, IdempotencyMismatch, Unavailable.
    """
    check_key(key)
    digest = digest_of_request(draft)
    schedule_id = keyed_schedule_id(owner, key) if key else new_schedule_id()
    if key and (repeated := _repeated(db, schedule_id, digest)):
        return repeated, False
    now = server_now(db)
    checked, audience = schedule_drafts.check(db, draft, now=now)
    schedule, content = _first(schedule_id, checked, now), content_of(checked, audience)

    def store(session: Session) -> None:
        audience.take(db, session)
        attachments.keep(db, {file.digest for file in content.files}, session=session)
        schedules.add(db, schedule, request_digest=digest, session=session)
        contents.add(db, schedule_id, 1, content, valid_from=now, session=session)

    try:
        in_transaction(db, store)
    except schedules.AlreadyStored:  # the same key came twice in one moment
        repeated = _repeated(db, schedule_id, digest)
        if repeated is None:
            raise
        return repeated, False
    return StoredSchedule(schedule, content), True


def _first(schedule_id: ScheduleId, checked: Checked, now: datetime) -> Schedule:
    return Schedule(
        id=schedule_id,
        name=checked.name,
        state=ScheduleState.ACTIVE,
        recurrence=checked.recurrence,
        misfire=checked.misfire,
        revision=1,
        version=1,
        decided=0,
        decided_through=now,
        next_run_at=next_after(checked.recurrence, now),
        created_at=now,
        updated_at=now,
        delivery=checked.delivery,
        default_time_zone=checked.default_time_zone,
    )


def content_of(checked: Checked, audience: schedule_drafts.ChosenAudience) -> Content:
    return Content(
        sender=checked.sender,
        reply_to=checked.reply_to,
        subject=checked.subject,
        text=checked.text,
        html=checked.html,
        tags=checked.tags,
        audience=audience.id,
        recipients=audience.count,
        lists=audience.lists,
        excluded=audience.excluded,
        topic=checked.topic,
        footer=checked.footer,
        feed=checked.feed,
        written=checked.written,
        headers=checked.headers,
        template=checked.template,
        files=checked.files,
    )


def _repeated(db: Db, schedule_id: ScheduleId, digest: str) -> StoredSchedule | None:
    earlier = schedules.request_digest(db, schedule_id)
    if earlier is None:
        return None
    check_repeated(earlier, digest)
    return get(db, schedule_id)
