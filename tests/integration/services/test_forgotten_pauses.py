"""Pauses that only one of MongoDB and Redis knows: after a copy was put back, or an answer was lost."""

from mailroom.services.reports import runs as run_views
from mailroom.services.schedules import pause as schedule_pause
from tests.support.lines import Line, a_run


def test_a_hold_that_redis_alone_knows_holds_and_mongodb_learns_of_it(line: Line) -> None:
    """MongoDB was put back to a copy from before the pause."""
    run_id, _ = a_run(line, 10)
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    line.db.holds.delete_many({})
    line.db.runs.update_one({"_id": run_id}, {"$unset": {"paused_at": "", "paused_by": ""}})

    crossing = line.cross(line.claim())

    assert crossing.go == []
    assert run_views.get(line.db, run_id).paused_by == "ann"
    assert line.claim() == []
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="bo")
    assert len(line.cross(line.claim()).go) == 1


def test_a_resume_that_redis_did_not_hear_of_reaches_it_with_the_next_claim(line: Line) -> None:
    run_id, _ = a_run(line, 10)
    _, _ = schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    paused, _ = line.holds.read(run_id)
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="ann")
    line.holds._redis.delete(f"mailroom:hold:{line.db.name}:{run_id}")
    line.holds.mirror(paused)

    refused = line.cross(line.claim())

    assert (len(refused.held), refused.go) == (1, [])
    assert len(line.cross(line.claim()).go) == 1


def put_back_to_before_any_pause(line: Line) -> None:
    line.db.holds.delete_many({})
    line.db.runs.update_many({}, {"$unset": {"paused_at": "", "paused_by": ""}})


def test_a_pause_holds_at_the_fences_though_mongodb_has_forgotten_an_earlier_one(line: Line) -> None:
    """Redis knows that the run was paused and resumed: the number of the new pause must be beyond that."""
    run_id, schedule_id = a_run(line, 30)
    schedule_pause.pause_run(line.db, line.brakes, run_id, by="ann")
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="ann")

    for pause in (
        lambda: schedule_pause.pause_run(line.db, line.brakes, run_id, by="bo"),
        lambda: schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="bo"),
    ):
        put_back_to_before_any_pause(line)
        claimed = line.claim()
        pause()
        assert (len(claimed), line.cross(claimed).go) == (3, [])
        schedule_pause.resume_run(line.db, line.brakes, run_id, by="bo")


def test_a_schedule_is_resumed_with_its_runs_though_mongodb_has_forgotten_its_newest_pause(line: Line) -> None:
    run_id, schedule_id = a_run(line, 10)
    schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="ann")
    copy = list(line.db.holds.find())
    schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="ann")
    schedule_pause.pause_schedule(line.db, line.brakes, schedule_id, by="ann")
    line.db.holds.delete_many({})
    line.db.holds.insert_many(copy)

    schedule_pause.resume_schedule(line.db, line.brakes, schedule_id, by="bo")

    assert len(line.cross(line.claim()).go) == 1
    assert run_views.get(line.db, run_id).paused_at is None


def test_what_was_cancelled_forgotten_and_resumed_can_be_cancelled_for_good(line: Line) -> None:
    run_id, _ = a_run(line, 10)
    copy = line.db.runs.find_one({"_id": run_id}), line.db.dispatches.find_one({"run_id": run_id})
    schedule_pause.cancel_run(line.db, line.brakes, run_id)
    for collection, doc in zip((line.db.runs, line.db.dispatches), copy, strict=True):
        assert doc
        collection.replace_one({"_id": doc["_id"]}, doc)
    line.cross(line.claim())
    schedule_pause.resume_run(line.db, line.brakes, run_id, by="bo")
    claimed = line.claim()

    schedule_pause.cancel_run(line.db, line.brakes, run_id)

    assert (len(claimed), line.cross(claimed).go) == (1, [])
