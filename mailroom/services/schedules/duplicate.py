"""Copy a schedule: the same content, audience and rule, paused until a person has looked at it."""

import contextlib
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain.errors import AudienceNotFound, ScheduleNotFound
from mailroom.domain.ids import ScheduleId, keyed_schedule_id
from mailroom.domain.limits import MAX_NAME
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Recurrence, RuleRefused
from mailroom.domain.recurrence.upcoming import next_after
from mailroom.domain.schedules import Schedule, ScheduleState
from mailroom.domain.sender_rules import SenderRule
from mailroom.services.common import sender_rules
from mailroom.services.common.idempotency import check_key
from mailroom.services.schedules.view import StoredSchedule, get
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.schedules import contents, schedules

log = structlog.get_logger()
_COPY: Final = "Copy of "


def duplicate(db: Db, schedule_id: ScheduleId, *, owner: str, key: str) -> tuple[StoredSchedule, bool]:
    """Store a copy of a schedule with its newest content. Nothing of it is due before it is resumed. Idempotent by
    `key`. Returns (the copy, whether it is new). Raises ScheduleNotFound, SendersTooOld, InvalidInput, Unavailable."""
    check_key(key)
    copy_id = keyed_schedule_id(owner, f"duplicate/{schedule_id}/{key}")
    if earlier := _find(db, copy_id):
        return earlier, False
    source = get(db, schedule_id)
    if source.content.topic:
        sender_rules.require(db, SenderRule.TOPICS)
    if source.content.feed:
        sender_rules.require(db, SenderRule.FEEDS)
    if source.content.is_composed:
        sender_rules.require(db, SenderRule.AUDIENCES)
    if source.content.headers:
        sender_rules.require(db, SenderRule.HEADERS)
    if source.schedule.delivery is DeliveryTime.RECIPIENT_TIME:
        sender_rules.require(db, SenderRule.RECIPIENT_TIME)
    if source.content.files:
        sender_rules.require(db, SenderRule.ATTACHMENTS)
    copy = StoredSchedule(_copy_of(source.schedule, copy_id, db), source.content)

    def store(session: Session) -> None:
        _use(db, source, session)
        schedules.add(db, copy.schedule, request_digest="", session=session)
        contents.add(db, copy_id, 1, copy.content, valid_from=copy.schedule.created_at, session=session)

    try:
        in_transaction(db, store)
    except schedules.AlreadyStored:  # the same key came twice in one moment
        return get(db, copy_id), False
    log.info("schedule_duplicated", schedule_id=copy_id, source=schedule_id, by=owner)
    return copy, True


def _find(db: Db, schedule_id: ScheduleId) -> StoredSchedule | None:
    try:
        return get(db, schedule_id)
    except ScheduleNotFound:
        return None


def _use(db: Db, source: StoredSchedule, session: Session) -> None:
    """A listed audience counts its schedules; a schedule's own list, or one that is deleted, stays for all of them."""
    for one in (*source.content.goes_to, *source.content.excluded):
        with contextlib.suppress(AudienceNotFound):
            audiences.use(db, one.audience, session=session)


def _next_after(rule: Recurrence, now: datetime) -> datetime | None:
    """None for a rule that is over, or cannot be computed: an edit gives the copy another."""
    try:
        return next_after(rule, now)
    except RuleRefused:
        return None


def _copy_of(source: Schedule, copy_id: ScheduleId, db: Db) -> Schedule:
    now = server_now(db)
    return replace(
        source,
        id=copy_id,
        name=f"{_COPY}{source.name.removeprefix(_COPY)}"[:MAX_NAME],
        state=ScheduleState.PAUSED,
        revision=1,
        version=1,
        decided=0,
        decided_through=now,
        next_run_at=_next_after(source.recurrence, now),
        created_at=now,
        updated_at=now,
        paused_at=now,
        set_aside="",
        restored_at=None,
        restored_by="",
        rule_since=None,
    )
