"""Who did not get a mail, and a run to exactly those: planned in steps, and never beside another way to them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import ContentWithoutTopic, ForgottenMeanwhile, NobodyLeft, RunUnderWay
from mailroom.domain.ids import ClaimId, DispatchId, RunId
from mailroom.domain.messages.states import MessageState
from mailroom.domain.runs import Run, RunState
from mailroom.services.dispatching import propagation
from mailroom.services.dispatching.requeue import requeue_failed
from mailroom.services.mails.accept import Outbox
from mailroom.services.planning import asked_runs, plan
from mailroom.services.resending import mails as resend_mails
from mailroom.services.resending import runs as resend_runs
from mailroom.services.schedules import edit as edit_schedule
from mailroom.storage.cluster import restored_fences
from mailroom.storage.cluster.restore_mark import Healthy
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import acceptances
from mailroom.storage.messages import unreached as unreached_rows
from tests.support.finished_runs import a_finished_run, planned, unreached
from tests.support.planned import hold
from tests.support.topics import a_topic


def test_it_goes_to_exactly_the_recipients_that_the_run_is_known_not_to_have_reached(db: Db) -> None:
    run = a_finished_run(
        db, 40, failed=3, bounced=2, rejected=1, cancelled=1, in_doubt=2, unknown=2, suppressed=2, deferred=1
    )
    wanted = unreached(db, run, "failed", "bounced", "rejected", "cancelled")

    again, new = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)

    assert new
    assert (again.source, again.recipients, again.revision) == (run.id, 7, 1)
    assert planned(db, again) == wanted
    assert db.messages.find_one({"run_id": again.id})["parts"]  # type: ignore[index]
    assert resend_runs.unreached_by(db, run.id, after="", limit=50).left == 0


def test_a_large_one_is_planned_in_steps_and_names_everybody_once(db: Db) -> None:
    run = a_finished_run(db, 2_300, failed=2_200)

    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)

    assert planned(db, again) == unreached(db, run, "failed")
    calls = list(db.dispatches.find({"run_id": again.id}))
    assert [doc["_id"] for doc in calls] == [f"{again.id}-d4g{number:05d}" for number in range(4)]
    assert sum(doc["messages"] for doc in calls) == 2_200
    assert max(doc["messages"] for doc in calls) <= 1_000
    for doc in calls:
        digests = [one["_id"].rpartition("/")[2] for one in db.messages.find({"dispatch_id": doc["_id"]})]
        assert {int(digest[:8], 16) * 4 >> 32 for digest in digests} == {int(doc["_id"][-5:])}


def test_those_of_a_run_of_before_groups_were_counted_stay_in_their_dispatches(db: Db) -> None:
    run = a_finished_run(db, 40, failed=20)
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    db.runs.update_one({"_id": again.id}, {"$unset": {"groups": ""}})

    planned(db, again)

    made = list(db.messages.find({"run_id": again.id}))
    assert all(doc["dispatch_id"] == f"{again.id}-d{doc['_id'].rpartition('/')[2][:3]}" for doc in made)


def test_asked_for_twice_nobody_is_carried_twice(db: Db) -> None:
    run = a_finished_run(db, 10, failed=4)

    first, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    same, new = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    assert (same.id, new) == (first.id, False)
    other, _ = resend_runs.run_again(db, run.id, owner="bo", key="k", batch_size=1_000)  # before the first is planned
    both = planned(db, first) + planned(db, other)

    assert sorted(both) == unreached(db, run, "failed")
    with pytest.raises(NobodyLeft):
        resend_runs.run_again(db, run.id, owner="ann", key="another", batch_size=1_000)


def test_what_is_requeued_is_not_carried_and_what_is_carried_is_not_requeued(db: Db) -> None:
    run = a_finished_run(db, 10, failed=4)
    failed = [DispatchId(doc["_id"]) for doc in db.dispatches.find({"run_id": run.id, "state": "failed"})]
    assert requeue_failed(db, failed[:1], by="ann") == {}
    db.runs.update_one({"_id": run.id}, {"$set": {"state": RunState.FINISHED}})

    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)

    assert len(planned(db, again)) == 3
    refused = requeue_failed(db, failed[1:], by="ann")
    assert all("carried by" in why for why in refused.values())
    assert sorted(refused) == sorted(failed[1:])


def test_requeue_and_another_run_at_the_same_moment_send_one_mail(db: Db) -> None:
    run = a_finished_run(db, 60, failed=60)
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    failed = [DispatchId(doc["_id"]) for doc in db.dispatches.find({"run_id": run.id, "state": "failed"})]

    def requeue(some: list[DispatchId]) -> int:
        return len(some) - len(requeue_failed(db, some, by="ann"))

    with ThreadPoolExecutor(4) as pool:
        under_way = pool.submit(planned, db, again)
        requeued = sum(pool.map(requeue, (failed[start : start + 3] for start in range(0, 60, 3))))
        under_way.result()

    carried = len(planned(db, again))
    assert carried + requeued == 60


@pytest.mark.parametrize("state", [RunState.PLANNING, RunState.PLANNED])
def test_a_run_under_way_is_waited_for(db: Db, state: RunState) -> None:
    run = a_finished_run(db, 3, failed=1)
    db.runs.update_one({"_id": run.id}, {"$set": {"state": state}})

    with pytest.raises(RunUnderWay):
        resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)


def test_a_run_from_before_its_schedule_had_a_topic_is_resent_with_the_newest_content_alone(db: Db) -> None:
    """Its own has no link, and would go to readers who have left the topic."""
    a_topic(db, footer=True, postal_address="Shop")
    run = a_finished_run(db, 3, failed=2)
    edit_schedule.edit(db, run.schedule_id, {"topic": "newsletter"}, seen_version=None)

    with pytest.raises(ContentWithoutTopic, match="has the topic newsletter by now"):
        resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)

    again, new = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000, newest=True)
    assert new
    assert again.revision == 2


def test_the_newest_content_goes_out_where_that_is_wanted(db: Db) -> None:
    run = a_finished_run(db, 3, failed=2)
    edit_schedule.edit(db, run.schedule_id, {"subject": "Mended {{ name }}"}, seen_version=None)

    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000, newest=True)

    assert again.revision == 2
    assert planned(db, again) == unreached(db, run, "failed")


def test_a_third_run_can_go_to_recipients_that_the_second_did_not_reach_either(db: Db) -> None:
    run = a_finished_run(db, 10, failed=4)
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    planned(db, again)
    db.messages.update_many({"run_id": again.id}, {"$set": {"state": MessageState.BOUNCED}})
    db.dispatches.update_many({"run_id": again.id}, {"$set": {"state": DispatchState.ACCEPTED}})
    db.runs.update_one({"_id": again.id}, {"$set": {"state": RunState.FINISHED}})

    third, _ = resend_runs.run_again(db, RunId(again.id), owner="ann", key="k", batch_size=1_000)

    assert third.source == again.id
    assert planned(db, third) == unreached(db, run, "failed")


def again_after(db: Db, run: Run, key: str = "k") -> list[str]:
    """Whom another run would go to; nobody where there is nobody left."""
    try:
        again, _ = resend_runs.run_again(db, run.id, owner="ann", key=key, batch_size=1_000)
    except NobodyLeft:
        return []
    return planned(db, again)


def test_what_a_restored_mongodb_calls_failed_and_its_fence_calls_done_went_out(db: Db) -> None:
    run = a_finished_run(db, 3, failed=1)
    failed = db.dispatches.find_one({"run_id": run.id, "state": DispatchState.FAILED})
    assert failed
    done = Fence(FenceState.DONE, attempt=2, claim_id=ClaimId("c"), digest=failed["digest"], provider_id="<x>")

    changed, known = acceptances.replay_accepted(db, [(failed["_id"], done)])

    assert (changed, known) == (1, 1)
    propagation.propagate_states(db, [failed["_id"]])
    assert again_after(db, run) == []


def test_what_fences_knew_beyond_a_restored_mongodb_is_not_sent_again(db: Db) -> None:
    run = a_finished_run(db, 3, failed=2)
    failed = [doc["_id"] for doc in db.dispatches.find({"run_id": run.id, "state": DispatchState.FAILED})]
    crossed = Fence(FenceState.CROSSED, attempt=2, claim_id=ClaimId("c"))
    restored_fences.keep(db, [(failed[0], crossed)], now=server_now(db), kept_for=timedelta(days=1))

    assert len(again_after(db, run)) == 1


def test_what_a_restored_mongodb_forgot_to_have_sent_again_is_not_sent_once_more_under_another_key(db: Db) -> None:
    run = a_finished_run(db, 3, failed=2)
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    planned(db, again)
    (dispatch, *_) = [DispatchId(doc["_id"]) for doc in db.dispatches.find({"run_id": again.id})]
    crossed = Fence(FenceState.CROSSED, attempt=1, claim_id=ClaimId("c"))
    restored_fences.keep(db, [(dispatch, crossed)], now=server_now(db), kept_for=timedelta(days=1))
    forget(db, again)

    with pytest.raises(ForgottenMeanwhile, match=again.id):
        resend_runs.run_again(db, run.id, owner="ann", key="another", batch_size=1_000)
    same, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    assert same.id == again.id


def forget(db: Db, run: Run) -> None:
    """What a copy from before this run was asked for knows of it."""
    for name in ("messages", "dispatches"):
        db[name].delete_many({"run_id": run.id})
        db[name].update_many({}, {"$unset": {"sent_again": ""}})
    db.runs.delete_one({"_id": run.id})


def test_planned_again_after_a_restore_each_recipient_is_in_the_same_dispatch(db: Db) -> None:
    run = a_finished_run(db, 400, bounced=200)
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    planned(db, again)
    first = carriers(db, again)
    forget(db, again)
    some = [doc["_id"] for doc in db.messages.find({"run_id": run.id, "state": "bounced"}).limit(90)]
    db.messages.update_many({"_id": {"$in": some}}, {"$set": {"state": MessageState.SENT}})

    resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    planned(db, again)

    then = carriers(db, again)
    assert len(then) == 110
    assert {address: first[address] for address in then} == then


@pytest.mark.parametrize("batch_size", [20, 1_000], ids=["another cut", "the same cut"])
def test_planned_again_in_another_number_of_groups_nothing_goes_out_on_a_guess(db: Db, batch_size: int) -> None:
    """What was called before the restore, by a version without groups and by this one, may have reached anybody."""
    run = a_finished_run(db, 400, bounced=200)
    again, _ = resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=1_000)
    planned(db, again)
    (called,) = db.dispatches.find({"run_id": again.id})
    crossed = Fence(FenceState.CROSSED, attempt=1, claim_id=ClaimId("c"), span=called["span"])
    restored_fences.keep(db, [(called["_id"], crossed)], now=server_now(db), kept_for=timedelta(days=1))
    forget(db, again)

    resend_runs.run_again(db, run.id, owner="ann", key="k", batch_size=batch_size)
    held = hold(db, run.schedule_id, token=3)
    while plan.expand(db, held, batch_size=1_000, now=server_now(db), seen=Healthy(remembers=True)).moved:
        pass

    made = list(db.dispatches.find({"run_id": again.id}))
    if batch_size == 1_000:
        assert [(doc["_id"], doc["state"]) for doc in made] == [(called["_id"], DispatchState.PENDING)]
    else:
        assert len(made) > 1
        assert {doc["state"] for doc in made} == {DispatchState.UNKNOWN}


def carriers(db: Db, run: Run) -> dict[str, str]:
    return {doc["address"]: doc["dispatch_id"] for doc in db.messages.find({"run_id": run.id})}


@pytest.mark.parametrize("sign", ["delivered_at", "first_opened_at", "complained_at", "machine_opens"])
def test_a_recipient_with_a_sign_of_the_mail_was_reached_whatever_bounced(db: Db, sign: str) -> None:
    run = a_finished_run(db, 3, bounced=1)
    value = 1 if sign == "machine_opens" else server_now(db)
    db.messages.update_many({"run_id": run.id, "state": "bounced"}, {"$set": {sign: value}})

    assert again_after(db, run) == []


@pytest.mark.parametrize("state", ["pending", "sending", "in_doubt", "unknown"])
def test_whose_own_call_may_still_go_is_left_out_and_holds_up_nobody(db: Db, state: str) -> None:
    run = a_finished_run(db, 6, failed=2, bounced=1)
    (one, *_) = list(db.messages.find({"run_id": run.id, "state": "bounced"}))
    db.dispatches.update_one({"_id": one["dispatch_id"]}, {"$set": {"state": state}})
    later, _ = asked_runs.run_now(db, run.schedule_id, owner="tests", key="later")

    assert len(again_after(db, run)) == 2

    assert len(planned(db, later)) == 6
    assert resend_runs.unreached_by(db, run.id, after="", limit=50).left == 1


def test_rows_that_were_read_before_a_split_are_not_taken_after_it(db: Db) -> None:
    run = a_finished_run(db, 3, failed=1)
    missed = unreached_rows.left(db, run.id, after="", limit=10).messages
    child = db.dispatches.find_one({"_id": missed[0].dispatch_id})
    assert child
    db.dispatches.insert_one(child | {"_id": f"{child['_id']}.part", "state": DispatchState.PENDING})
    db.dispatches.update_one({"_id": child["_id"]}, {"$set": {"state": DispatchState.SPLIT}})
    db.messages.update_one({"_id": missed[0].id}, {"$set": {"dispatch_id": f"{child['_id']}.part"}})

    def work(session: Session) -> bool:
        return unreached_rows.take(db, [message.id for message in missed], RunId("other"), session=session)

    assert not in_transaction(db, work)


def test_a_dispatch_requeued_and_claimed_before_its_state_was_copied_is_copied_all_the_same(db: Db) -> None:
    run = a_finished_run(db, 2, failed=1)
    failed = db.dispatches.find_one({"run_id": run.id, "state": DispatchState.FAILED})
    assert failed
    told = []
    for state in (DispatchState.SENDING, DispatchState.IN_DOUBT, DispatchState.UNKNOWN):
        db.dispatches.update_one({"_id": failed["_id"]}, {"$set": {"state": state, "tell": True}})
        propagation.propagate_states(db, [failed["_id"]])
        told += [doc["state"] for doc in db.messages.find({"dispatch_id": failed["_id"]})]

    assert told == ["queued", "in_doubt", "unknown"]


def test_a_mail_whose_own_call_may_still_go_is_not_sent_again_and_the_request_returns(db: Db) -> None:
    draft: dict[str, Any] = {"sender": "a@mg.example.com", "to": ["b@example.org"], "subject": "Hi", "text": "Hello"}
    email = Outbox(db, lanes=4).hand_in(EmailDraft(**draft), owner="ann").id
    db.messages.update_many({"run_id": email}, {"$set": {"state": MessageState.FAILED}})

    with pytest.raises(NobodyLeft):
        resend_mails.send_again(db, email, owner="ann", key="k", lanes=4)

    assert db.dispatches.count_documents({}) == 1
