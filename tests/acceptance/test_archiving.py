"""A real sender archives finished schedules, where the setting says so."""

from datetime import timedelta

from mailroom.domain.schedules import ScheduleState
from mailroom.storage.database import server_now
from tests.support.builders import stored_schedule
from tests.support.system import System, wait_for


def test_a_sender_archives_a_schedule_that_finished_days_ago(system: System) -> None:
    schedule = stored_schedule(system.db)
    ended = {"state": ScheduleState.FINISHED, "updated_at": server_now(system.db) - timedelta(days=3)}
    system.db.schedules.update_one({"_id": schedule.id}, {"$set": ended, "$unset": {"next_run_at": ""}})

    def state() -> str:
        doc = system.db.schedules.find_one({"_id": schedule.id})
        return str(doc["state"]) if doc else ""

    (sender,) = system.start_senders(1, MAILROOM_ARCHIVE_FINISHED_DAYS="2")

    wait_for(lambda: state() == "archived", within_s=30, what="it is archived")
    wait_for(lambda: "finished_schedule_archived" in sender.tail(200), within_s=5, what="it says so")
