"""The delivery of a schedule, in each recipient's own time or at once: what is taken, changed, copied and restored."""

from datetime import UTC, datetime

import pytest

from mailroom.domain.errors import InvalidInput, SendersTooOld
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.services.schedules import create as create_schedule
from mailroom.services.schedules import duplicate, lifecycle, restore
from mailroom.services.schedules import edit as edit_schedule
from mailroom.services.schedules import view as schedule_view
from mailroom.storage.database import Db
from tests.support.builders import a_draft
from tests.support.workers import checked_in
from tests.support.zoned import BERLIN, DAILY, FOUR, a_zoned_schedule, people_in


def test_it_is_not_taken_while_a_process_of_an_earlier_version_may_run(db: Db) -> None:
    audience = people_in(db, FOUR)
    checked_in(db, "old-1", protocol=4)

    with pytest.raises(SendersTooOld, match="recipient_time"):
        a_zoned_schedule(db, audience)


def test_an_interval_is_refused_with_all_other_faults(db: Db) -> None:
    draft = a_draft(delivery="recipient_time", default_time_zone="Berlin", subject="")

    with pytest.raises(InvalidInput) as refused:
        create_schedule.create(db, draft, owner="tests")

    assert {fault.path for fault in refused.value.faults} == {"delivery", "default_time_zone", "subject"}


def test_the_delivery_of_a_schedule_is_changed_and_changed_back(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR), recurrence=DAILY, default_time_zone="Asia/Tokyo")

    at_once = edit_schedule.edit(db, schedule, {"delivery": "schedule_time"}, seen_version=None).schedule
    stored = db.schedules.find_one({"_id": schedule})
    again = edit_schedule.edit(db, schedule, {"delivery": "recipient_time"}, seen_version=None).schedule

    assert (at_once.delivery, at_once.default_time_zone) == (DeliveryTime.SCHEDULE_TIME, "")
    assert stored["next_run_at"] == at_once.next_run_at
    assert not stored.keys() & {"delivery", "default_time_zone", "next_due_at"}
    assert again.delivery is DeliveryTime.RECIPIENT_TIME
    read = schedule_view.get(db, schedule).schedule
    assert read.next_run_at == at_once.next_run_at
    assert read.look_at is not None
    assert read.look_at < max(at_once.next_run_at or BERLIN, datetime.now(UTC))


def test_a_copy_of_a_schedule_has_its_delivery(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR), recurrence=DAILY, default_time_zone="Asia/Tokyo")

    copy, _ = duplicate.duplicate(db, schedule, owner="ann", key="k")

    read = schedule_view.get(db, copy.schedule.id).schedule
    assert (read.delivery, read.default_time_zone) == (DeliveryTime.RECIPIENT_TIME, "Asia/Tokyo")


def test_a_restored_schedule_keeps_its_delivery(db: Db) -> None:
    schedule = a_zoned_schedule(db, people_in(db, FOUR), recurrence=DAILY)
    lifecycle.archive(db, schedule)

    restored = restore._restored(db, schedule, by="ann", seen_version=None)
    resumed = lifecycle.resume(db, schedule, by="ann")

    assert (restored.delivery, resumed.delivery) == (DeliveryTime.RECIPIENT_TIME, DeliveryTime.RECIPIENT_TIME)
    assert schedule_view.get(db, schedule).schedule.look_at is not None
