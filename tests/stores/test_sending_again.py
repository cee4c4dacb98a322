"""Who did not get a mail, and a run to exactly those: planned in steps, and never beside another way to them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mailroom.domain.dispatches import DispatchState
from mailroom.domain.errors import DispatchNotUnknown, MailroomError, NobodyLeft, RunUnderWay
from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.messages import MessageState
from mailroom.domain.runs import Run, RunState
from mailroom.services import changing, planning, resolving, running, sending_again
from mailroom.storage.database import Db, server_now
from tests.stores.test_scheduling import expand_all, hold
from tests.support.builders import recipients, stored_schedule


def a_finished_run(db: Db, count: int, **states: int) -> Run:
    """A run of so many, the first of whose mails are in these states, each with its dispatch of one."""
    schedule = stored_schedule(db, recipients=recipients(count))
    run, _ = changing.run_now(db, schedule.id, owner="tests", key="source")
    expand_all_by_one(db, run)
    ids = [doc["_id"] for doc in db.messages.find({"run_id": run.id}).sort("_id", 1)]
    db.messages.update_many({"run_id": run.id}, {"$set": {"state": MessageState.DELIVERED}})
    db.dispatches.update_many({"run_id": run.id}, {"$set": {"state": DispatchState.ACCEPTED}})
    for state, number in states.items():
        some, ids = ids[:number], ids[number:]
        db.messages.update_many({"_id": {"$in": some}}, {"$set": {"state": state}})
        if state == MessageState.FAILED:
            of_them = [doc["dispatch_id"] for doc in db.messages.find({"_id": {"$in": some}})]
            db.dispatches.update_many({"_id": {"$in": of_them}}, {"$set": {"state": DispatchState.FAILED}})
    db.runs.update_one({"_id": run.id}, {"$set": {"state": RunState.FINISHED}})
    return running.get(db, run.id)


def expand_all_by_one(db: Db, run: Run) -> None:
    held = hold(db, run.schedule_id)
    while planning.expand(db, held, batch_size=1, now=server_now(db)).moved:
        pass


def planned(db: Db, run: Run) -> list[str]:
    expand_all(db, hold(db, run.schedule_id, token=2))
    return sorted(doc["address"] for doc in db.messages.find({"run_id": run.id}))


def unreached(db: Db, run: Run, *states: str) -> list[str]:
    return sorted(doc["address"] for doc in db.messages.find({"run_id": run.id, "state": {"$in": list(states)}}))


def test_it_goes_to_exactly_those_whom_the_run_is_known_not_to_have_reached(db: Db) -> None:
    run = a_finished_run(
        db, 40, failed=3, bounced=2, rejected=1, cancelled=1, in_doubt=2, unknown=2, suppressed=2, deferred=1
    )
    wanted = unreached(db, run, "failed", "bounced", "rejected", "cancelled")

    again, new = sending_again.run_again(db, run.id, owner="ann", key="k")

    assert new
    assert (again.source, again.recipients, again.revision) == (run.id, 7, 1)
    assert planned(db, again) == wanted
    assert db.messages.find_one({"run_id": again.id})["parts"]  # type: ignore[index]
    assert sending_again.unreached_by(db, run.id, after="", limit=50).left == 0


def test_a_large_one_is_planned_in_steps_and_names_everybody_once(db: Db) -> None:
    run = a_finished_run(db, 2_300, failed=2_200)

    again, _ = sending_again.run_again(db, run.id, owner="ann", key="k")

    assert planned(db, again) == unreached(db, run, "failed")
    assert running.get(db, again.id).chunks == 3


def test_asked_for_twice_nobody_is_carried_twice(db: Db) -> None:
    run = a_finished_run(db, 10, failed=4)

    first, _ = sending_again.run_again(db, run.id, owner="ann", key="k")
    same, new = sending_again.run_again(db, run.id, owner="ann", key="k")
    assert (same.id, new) == (first.id, False)
    other, _ = sending_again.run_again(db, run.id, owner="bo", key="k")  # before the first is planned
    both = planned(db, first) + planned(db, other)

    assert sorted(both) == unreached(db, run, "failed")
    with pytest.raises(NobodyLeft):
        sending_again.run_again(db, run.id, owner="ann", key="another")


def test_what_is_requeued_is_not_carried_and_what_is_carried_is_not_requeued(db: Db) -> None:
    run = a_finished_run(db, 10, failed=4)
    failed = [DispatchId(doc["_id"]) for doc in db.dispatches.find({"run_id": run.id, "state": "failed"})]
    resolving.requeue(db, failed[0], by="ann")
    db.runs.update_one({"_id": run.id}, {"$set": {"state": RunState.FINISHED}})

    again, _ = sending_again.run_again(db, run.id, owner="ann", key="k")

    assert len(planned(db, again)) == 3
    with pytest.raises(DispatchNotUnknown, match="carried by"):
        resolving.requeue(db, failed[1], by="ann")


def test_requeue_and_another_run_at_the_same_moment_send_one_mail(db: Db) -> None:
    run = a_finished_run(db, 60, failed=60)
    again, _ = sending_again.run_again(db, run.id, owner="ann", key="k")
    failed = [DispatchId(doc["_id"]) for doc in db.dispatches.find({"run_id": run.id, "state": "failed"})]

    def requeue(id_: DispatchId) -> bool:
        try:
            resolving.requeue(db, id_, by="ann")
        except MailroomError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        under_way = pool.submit(planned, db, again)
        requeued = sum(pool.map(requeue, failed))
        under_way.result()

    carried = len(planned(db, again))
    assert carried + requeued == 60


@pytest.mark.parametrize("state", [RunState.PLANNING, RunState.PLANNED])
def test_a_run_under_way_is_waited_for(db: Db, state: RunState) -> None:
    run = a_finished_run(db, 3, failed=1)
    db.runs.update_one({"_id": run.id}, {"$set": {"state": state}})

    with pytest.raises(RunUnderWay):
        sending_again.run_again(db, run.id, owner="ann", key="k")


def test_the_newest_content_goes_out_where_that_is_wanted(db: Db) -> None:
    run = a_finished_run(db, 3, failed=2)
    changing.edit(db, run.schedule_id, {"subject": "Mended {{ name }}"}, seen_version=None)

    again, _ = sending_again.run_again(db, run.id, owner="ann", key="k", newest=True)

    assert again.revision == 2
    assert planned(db, again) == unreached(db, run, "failed")


def test_whom_the_second_run_did_not_reach_either_a_third_can_go_to(db: Db) -> None:
    run = a_finished_run(db, 10, failed=4)
    again, _ = sending_again.run_again(db, run.id, owner="ann", key="k")
    planned(db, again)
    db.messages.update_many({"run_id": again.id}, {"$set": {"state": MessageState.BOUNCED}})
    db.runs.update_one({"_id": again.id}, {"$set": {"state": RunState.FINISHED}})

    third, _ = sending_again.run_again(db, RunId(again.id), owner="ann", key="k")

    assert third.source == again.id
    assert planned(db, third) == unreached(db, run, "failed")
