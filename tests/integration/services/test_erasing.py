"""The erasure of a person: what goes, what stays, and who is not touched by it."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.confirm_links import SubscriptionRequest
from mailroom.domain.consent import BY_FORM
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.erasures import ERASED, ErasureState
from mailroom.domain.errors import EmailGone, ErasureNotFound, Fault, InvalidInput, SendersTooOld
from mailroom.domain.events import EventKind
from mailroom.domain.ids import EmailId, RunId, message_id
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.rejected_requests import RejectedRequest
from mailroom.domain.return_paths import ReturnPaths
from mailroom.domain.unsubscribe_links import Membership, UnsubscribeLinks
from mailroom.services.audiences import contacts, segments
from mailroom.services.consent import contacts as consent_views
from mailroom.services.consent import membership, topics
from mailroom.services.consent.joining import join_by_form
from mailroom.services.dispatching.exclusions import leave_out
from mailroom.services.dispatching.requeue import requeue_failed
from mailroom.services.feedback import suppressions as suppression_lists
from mailroom.services.feedback.intake import take_in
from mailroom.services.operations import returned_mail
from mailroom.services.operations.returned_mail import MailResult, Recognition
from mailroom.services.persons import erasing
from mailroom.services.planning import plan
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import people, sent_mails
from mailroom.services.reports.timeline import story_of
from mailroom.services.resending import mails as resend_mails
from mailroom.storage import rejected_requests, subscription_requests, suppressions
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db, server_now
from mailroom.storage.mails import bodies
from mailroom.storage.mails import erasing as mail_erasing
from mailroom.storage.messages import document as messages
from mailroom.storage.messages import unreached
from tests.support.builders import an_event, recipients, stored_schedule
from tests.support.claims import a_claim
from tests.support.erasing import ANN, erase, handed_in, look_again, split_off, where, work
from tests.support.finished_runs import a_finished_run
from tests.support.living import a_schedule_to, an_audience, mailed, plan_all, put, remove, run_now
from tests.support.planned import expand_all, hold, runs_of
from tests.support.returned_mails import dsn
from tests.support.system import wait_for
from tests.support.topics import a_topic
from tests.support.zoned import TOKYO, a_zoned_schedule, decide, expand, people_in

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
READER = "reader-1@example.org"
KEY = "only-for-tests-0123456789"
WORDS = f"550 no such user <{ANN}>"


def an_active_life(db: Db) -> RunId:
    """Ann is known in every place that there is. Returns a run that went to her."""
    a_topic(db)
    audience = an_audience(db, "ann", "bo")
    put(db, audience, "ann", city="Oslo")
    an_audience(db, "ann", key="left")
    stored_schedule(db, recipients=[{"address": "Ann@Example.org", "variables": {"city": "Rome"}}])
    run = run_now(db, schedule := a_schedule_to(db, audience))
    plan_all(db, schedule)
    mail = handed_in(db, ANN, metadata={"who": ANN}, text="Hello", headers={"X-Person": ANN})
    both = handed_in(db, f"Ann <{ANN}>", "bo@example.org", key="both")
    db.dispatches.update_many({}, {"$set": {"state": DispatchState.ACCEPTED, "reason": WORDS}})
    told = [
        an_event(kind, id_=f"{kind}{run_}", run_id=run_, recipient=ANN, raw=json.dumps({"to": ANN}), reason=WORDS)
        for run_ in (run, mail, both, None)
        for kind in (EventKind.DELIVERED, EventKind.OPENED)
    ]
    joint = an_event(EventKind.DELIVERED, id_="joint", run_id=both, recipient="bo@example.org", raw=f"to bo and {ANN}")
    take_in(db, [*told, joint], now=NOW)
    join_by_form(db, topics.get(db, "newsletter"), ANN, "Ann Smith", now=server_now(db))
    membership.leave(db, Membership(ANN, "newsletter", run), "newsletter", by="page")
    suppression_lists.add(db, {"address": "ann@example.org", "reason": "asked by phone", "scope": "all"}, by="cleo")
    asked = SubscriptionRequest(ANN, "newsletter", "Ann", NOW, NOW + timedelta(days=3))
    subscription_requests.put_unless_standing(db, asked, renewed_before=NOW, expires_at=NOW + timedelta(days=900))
    refused = RejectedRequest(
        NOW, "PUT", "/v1/audiences/a/contacts/ann%40example.org", 422, "invalid_input", f"{ANN} is no zone",
        [Fault("rows[0].address", f"{ANN} is wrong")], "tests", "::1", "r1", 9, f'{{"address": "{ANN}"}}',
    )  # fmt: skip
    rejected_requests.add_many(db, [rejected_requests.to_store(refused)])
    return run


def test_an_erasure_is_done_when_its_last_step_is_made_not_when_that_round_of_tidying_began(db: Db) -> None:
    """A call that was made meanwhile is before it."""
    erasing.ask(db, ANN, by="cleo")
    began = server_now(db)
    wait_for(lambda: server_now(db) > began, within_s=5, what="time goes on")
    later = server_now(db)

    erasing.proceed(db, now=began, within_s=30.0)

    done_at = erasing.newest(db, ANN).done_at
    assert done_at is not None
    assert done_at >= later


def test_nothing_of_an_erased_person_is_left_but_the_place_in_lists_for_a_week(db: Db) -> None:
    run = an_active_life(db)
    known_in = where(db)
    before, recounted = report_counts.audit(db, run)

    done = erase(db, "Ann@example.org")

    assert known_in >= {"recipients", "messages", "emails", "bodies", "events", "consents", "suppressions", "refusals"}
    assert known_in >= {"subscription_requests", "dispatches"}
    assert (done.state, done.address, done.asked_by) == (ErasureState.DONE, "", "cleo")
    assert where(db) == {"recipients"}
    left = list(db.recipients.find({"_id.k": ANN}))
    assert left
    assert all(
        doc["until"]
        and doc["erased"]
        and doc.keys()
        <= {*("_id", "erased", "address", "name", "variables"), *("time_zone", "since", "until", "found_by")}
        for doc in left
    )
    assert all((doc["address"], doc["name"], doc["variables"]) == (ERASED, "", {}) for doc in left)
    assert report_counts.audit(db, run) == (before, recounted)
    assert before == recounted
    assert (before["total_opens"], before["delivered"]) == (1, 1)
    assert set(done.counts) >= {"contacts", "messages", "mails", "bodies", "events", "consents", "refusals"}


def test_counts_of_documents_are_those_that_were_changed(db: Db) -> None:
    run = an_active_life(db)
    with_ann = db.messages.count_documents({"address": {"$regex": "^ann@", "$options": "i"}})

    done = erase(db)

    assert done.counts["messages"] == with_ann == db.messages.count_documents({"erased": True})
    assert done.counts["mails"] == 2
    assert done.counts["bodies"] == 2
    assert done.counts["contacts"] == db.recipients.count_documents({"erased": True})
    assert done.documents == sum(done.counts.values())
    assert people.find(db, ANN, limit=10).items == []
    assert message_id(run, ANN) in {doc["_id"] for doc in db.messages.find({"erased": True})}


def test_the_others_on_a_mail_and_in_a_list_are_as_they_were(db: Db) -> None:
    an_active_life(db)
    bo = list(db.recipients.find({"_id.k": "bo@example.org"}))
    mailed_to_bo = list(db.messages.find({"address": "bo@example.org"}))

    erase(db)

    assert list(db.recipients.find({"_id.k": "bo@example.org"})) == bo
    assert list(db.messages.find({"address": "bo@example.org"})) == mailed_to_bo
    both = db.emails.find_one({"recipients": "bo@example.org"})
    assert [one["address"] for one in both["addressees"]] == [ERASED, "bo@example.org"]
    assert both["recipients"] == [ERASED, "bo@example.org"]
    joint = db.events.find_one({"recipient": "bo@example.org"})
    assert joint["raw"] == ""
    assert {one.name: one.count for one in audiences.page(db, before=None, limit=9)} == {
        "Audience k": 1,
        "Audience left": 0,
    }


def test_suppressions_hold_mail_back_as_before_and_the_journal_is_found_by_the_address(db: Db) -> None:
    an_active_life(db)
    journal = consent_views.view(db, ANN).consent
    erase(db)
    schedule = a_schedule_to(db, an_audience(db, "ann", "bo", key="again"))

    run = run_now(db, schedule, "again")
    plan_all(db, schedule)

    states = {doc["address"]: (doc["state"], doc.get("reason")) for doc in db.messages.find({"run_id": run})}
    assert states == {ANN: ("suppressed", "asked by phone"), "bo@example.org": ("queued", None)}
    found = consent_views.view(db, ANN)
    assert [(one.act, one.scope) for one in found.consent] == [(one.act, one.scope) for one in journal]
    assert not any(one.name for one in found.consent)
    assert {entry.scope for entry in found.suppression.entries} == {"all", "newsletter"}
    assert suppression_lists.page(db, before=None, limit=9) == []
    assert suppression_lists.remove(db, ANN, scope="all", by="cleo")
    assert {entry.scope for entry in suppression_lists.get(db, ANN).entries} == {"newsletter"}


def test_a_run_in_planning_keeps_everybodys_place_and_the_erased_one_gets_nothing(db: Db) -> None:
    count = CHUNK_RECIPIENTS + 300
    names = [f"r{n:05d}" for n in range(count)]
    for key, gone in (("whole", ""), ("erased", names[-2])):
        audience = an_audience(db, *names, key=key)
        schedule = a_schedule_to(db, audience)
        run, held = run_now(db, schedule, key), hold(db, schedule)
        plan.expand(db, held, batch_size=200, now=server_now(db))
        if gone:
            assert erase(db, f"{gone}@example.org").state is ErasureState.WAITING  # the run may have read it before
        while plan.expand(db, held, batch_size=200, now=server_now(db)).moved:
            pass
        if not gone:
            whole = spans(db, run)

    assert spans(db, run) == whole
    assert look_again(db, f"{gone}@example.org").state is ErasureState.DONE
    place = db.messages.find_one({"_id": message_id(run, f"{gone}@example.org")})
    assert (place["state"], place["reason"], place["address"]) == ("suppressed", "erased", ERASED)
    assert report_counts.run_report(db, run)[1].recipients == count
    assert len(mailed(db, run)) == count


def spans(db: Db, run: RunId) -> list[str]:
    """The positions of each dispatch of a run."""
    docs = db.dispatches.find({"run_id": run}).sort("_id", 1)
    return [doc["span"].partition(":")[2] for doc in docs]


def test_a_filter_that_had_found_the_person_keeps_the_place_and_another_does_not(db: Db) -> None:
    audience = an_audience(db, *(f"r{n:02d}" for n in range(10)))
    put(db, audience, "r05", city="Oslo")
    kept = timedelta(days=90)
    chosen = [
        segments.create(db, audience, name=city, filter_=f'city = "{city}"', by="cleo", events_kept=kept).id
        for city in ("Rome", "Oslo")
    ]
    made = [stored_schedule(db, recipients=(), segments=[one]).id for one in chosen]
    runs = [run_now(db, schedule) for schedule in made]

    erase(db, "r05@example.org")
    for schedule in made:
        plan_all(db, schedule)

    assert [db.messages.count_documents({"run_id": run}) for run in runs] == [9, 1]
    assert [db.messages.count_documents({"run_id": run, "state": "suppressed"}) for run in runs] == [0, 1]


def test_a_call_under_way_is_waited_for_and_what_is_not_called_yet_leaves_at_the_claim(db: Db) -> None:
    claimed = a_claim(db, 3)

    waiting = erase(db, READER)
    known = db.messages.find_one({"_id": message_id(claimed.run_id, READER)})
    db.dispatches.update_one({"_id": claimed.id}, {"$set": {"state": DispatchState.IN_DOUBT}})
    doubted = look_again(db, READER)
    db.dispatches.update_one({"_id": claimed.id}, {"$set": {"state": DispatchState.PENDING}})
    done = look_again(db, READER)

    assert (waiting.state, doubted.state, done.state) == (ErasureState.WAITING,) * 2 + (ErasureState.DONE,)
    assert known["address"] == READER
    assert db.dispatches.find_one({"_id": claimed.id})["digest"] == claimed.digest
    db.dispatches.update_one({"_id": claimed.id}, {"$set": {"state": DispatchState.SENDING}})
    ((left,), _) = leave_out(db, [claimed], mails := messages.of_dispatches(db, [claimed.id]))
    assert (left.messages, {mail.address for mail in mails[claimed.id]}) == (
        2, {"reader-0@example.org", "reader-2@example.org"},
    )  # fmt: skip
    gone = db.messages.find_one({"_id": message_id(claimed.run_id, READER)})
    assert (gone["state"], gone["reason"]) == ("suppressed", "erased")


def test_a_call_that_only_a_person_can_judge_is_not_waited_for_and_sent_again_it_goes_to_the_others(db: Db) -> None:
    claimed = a_claim(db, 2)
    db.dispatches.update_one({"_id": claimed.id}, {"$set": {"state": DispatchState.UNKNOWN}})

    done = erase(db, READER)

    assert done.state is ErasureState.DONE
    db.dispatches.update_one({"_id": claimed.id}, {"$set": {"state": DispatchState.SENDING}})
    ((left,), _) = leave_out(db, [claimed], mails := messages.of_dispatches(db, [claimed.id]))
    assert [mail.address for mail in mails[left.id]] == ["reader-0@example.org"]


def test_of_an_erasure_and_a_claim_at_once_one_waits_for_the_other(db: Db) -> None:
    """No sender calls with an address that is erased meanwhile: a message of a claimed dispatch is never changed."""
    for key in range(6):
        schedule = stored_schedule(db, recipients=recipients(4))
        run, held = run_now(db, schedule.id, str(key)), hold(db, schedule.id)
        expand_all(db, held)
        (dispatch,) = [doc["_id"] for doc in db.dispatches.find({"run_id": run})]
        erasing.ask(db, f"reader-{key % 4}@example.org", by="cleo")

        def claim(_: object, dispatch: str = dispatch) -> bool:
            change = {"$set": {"state": DispatchState.SENDING}}
            return db.dispatches.update_one({"_id": dispatch, "state": "pending"}, change).matched_count == 1

        with ThreadPoolExecutor(2) as pool:
            working = pool.submit(work, db)
            list(pool.map(claim, range(1)))
            working.result()
        mails = messages.of_dispatches(db, [dispatch])[dispatch]
        noted = any(step["step"] == "erased" for step in db.dispatches.find_one({"_id": dispatch})["trail"])
        assert noted == any(mail.erased for mail in mails)
        db.dispatches.update_many({}, {"$set": {"state": DispatchState.ACCEPTED}})
        look_again(db, f"reader-{key % 4}@example.org")


def test_a_single_mail_that_waits_is_cancelled_and_one_to_others_too_goes_to_them(db: Db) -> None:
    alone = handed_in(db, ANN)
    both = handed_in(db, ANN, "bo@example.org", key="both")

    waiting = erase(db)

    assert waiting.state is ErasureState.WAITING
    assert db.dispatches.find_one({"run_id": alone})["state"] == "cancelled"
    assert db.bodies.find_one({"_id": alone}) is None
    assert db.bodies.find_one({"_id": both})
    assert db.messages.find_one({"run_id": both, "erased": True})["state"] == "queued"
    db.dispatches.update_many({"run_id": both}, {"$set": {"state": "accepted"}})
    assert look_again(db).state is ErasureState.DONE
    assert db.bodies.find_one({"_id": both}) is None
    assert where(db) == set()


def test_a_mail_to_others_whose_call_only_a_person_can_judge_stays_whole_until_then(db: Db) -> None:
    both = handed_in(db, ANN, "bo@example.org")
    db.dispatches.update_many({}, {"$set": {"state": "unknown"}})

    waiting = erase(db)

    assert (waiting.state, waiting.waits) == (ErasureState.WAITING, (both,))
    assert db.bodies.find_one({"_id": both})
    assert db.messages.find_one({"run_id": both, "erased": True})
    db.dispatches.update_many({}, {"$set": {"state": "accepted"}})
    assert look_again(db).state is ErasureState.DONE
    assert where(db) == set()


def test_a_copy_of_the_erased_one_alone_that_nobody_can_judge_is_not_waited_for(db: Db) -> None:
    """The others have theirs, so nothing of the mail is needed any more."""
    both = handed_in(db, ANN, "bo@example.org")
    split_off(db, both, ANN, DispatchState.UNKNOWN, rest=DispatchState.ACCEPTED)

    done = erase(db)

    assert (done.state, done.waits) == (ErasureState.DONE, ())
    assert db.bodies.find_one({"_id": both}) is None
    assert where(db) == set()


def test_a_copy_that_went_elsewhere_is_waited_for_no_more(db: Db) -> None:
    """Nobody can have its first call made again."""
    both = handed_in(db, ANN, "bo@example.org", on_doubt="elsewhere")
    first = db.dispatches.find_one({"run_id": both})
    second = first | {"_id": f"{first['_id']}e", "elsewhere_of": first["_id"], "state": DispatchState.ACCEPTED}
    db.dispatches.insert_one(second)
    left = {"state": DispatchState.UNKNOWN, "elsewhere": second["_id"]}
    db.dispatches.update_one({"_id": first["_id"]}, {"$set": left})
    moved = {"dispatch_id": second["_id"], "first_dispatch": first["_id"]}
    db.messages.update_many({"run_id": both}, {"$set": moved})

    assert erase(db).state is ErasureState.DONE
    assert where(db) == set()


def test_what_waits_for_the_erased_one_alone_goes_no_more_while_the_others_call_is_in_doubt(db: Db) -> None:
    both = handed_in(db, ANN, "bo@example.org")
    own = split_off(db, both, ANN, DispatchState.PENDING, rest=DispatchState.IN_DOUBT)

    assert erase(db).state is ErasureState.WAITING

    assert [mail.erased for mail in messages.of_dispatches(db, [own])[own]] == [True]


def test_a_repeat_for_others_that_is_made_while_an_erasure_waits_names_nobody_in_the_end(db: Db) -> None:
    mail = handed_in(db, ANN, "bo@example.org", "cy@example.org")
    split_off(db, mail, "bo@example.org", DispatchState.FAILED, rest=DispatchState.UNKNOWN)
    db.messages.update_one({"_id": message_id(mail, "bo@example.org")}, {"$set": {"state": "failed"}})
    assert erase(db).state is ErasureState.WAITING

    resend_mails.send_again(db, mail, owner="tests", key="again", lanes=1)
    db.dispatches.update_many({}, {"$set": {"state": DispatchState.ACCEPTED}})

    assert look_again(db).state is ErasureState.DONE
    assert where(db) == set()


def test_of_a_repeat_and_an_erasure_at_once_one_finds_the_other(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    mail = handed_in(db, ANN, "bo@example.org")
    db.dispatches.update_many({}, {"$set": {"state": DispatchState.ACCEPTED}})
    db.messages.update_one({"_id": message_id(mail, "bo@example.org")}, {"$set": {"state": "bounced"}})
    put_aside = bodies.put_aside

    def erased_meanwhile(*of: Any) -> Any:
        assert erase(db).state is ErasureState.DONE
        return put_aside(*of)

    monkeypatch.setattr(bodies, "put_aside", erased_meanwhile)
    with pytest.raises(EmailGone):
        resend_mails.send_again(db, mail, owner="tests", key="again", lanes=1)

    assert where(db) == set()


def test_an_erasure_begins_again_where_a_repeat_is_stored_at_the_same_moment(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = handed_in(db, ANN, "bo@example.org", "cy@example.org")
    split_off(db, mail, "bo@example.org", DispatchState.FAILED, rest=DispatchState.UNKNOWN)
    db.messages.update_one({"_id": message_id(mail, "bo@example.org")}, {"$set": {"state": "failed"}})
    assert erase(db).state is ErasureState.WAITING
    db.dispatches.update_many({"state": DispatchState.UNKNOWN}, {"$set": {"state": DispatchState.ACCEPTED}})
    made: list[tuple[EmailId, bool]] = []
    repeats_of = mail_erasing.repeats_of

    def repeated_meanwhile(*of: Any, **more: Any) -> Any:
        found = repeats_of(*of, **more)
        if not made:
            made.append(resend_mails.send_again(db, mail, owner="tests", key="again", lanes=1))
        return found

    monkeypatch.setattr(mail_erasing, "repeats_of", repeated_meanwhile)
    look_again(db)
    db.dispatches.update_many({}, {"$set": {"state": DispatchState.ACCEPTED}})

    assert look_again(db).state is ErasureState.DONE
    assert where(db) == set()


def test_what_failed_and_has_lost_its_content_is_not_requeued(db: Db) -> None:
    mail = handed_in(db, ANN, "bo@example.org")
    failed = split_off(db, mail, "bo@example.org", DispatchState.FAILED, rest=DispatchState.ACCEPTED)
    assert erase(db).state is ErasureState.DONE

    told = requeue_failed(db, [failed], by="cleo")

    assert "content is no longer kept" in told[failed]
    assert db.dispatches.find_one({"_id": failed})["state"] == DispatchState.FAILED


def test_events_that_come_later_count_and_name_nobody(db: Db) -> None:
    run = an_active_life(db)
    erase(db)
    before, _ = report_counts.audit(db, run)

    late = an_event(EventKind.COMPLAINED, id_="late", run_id=run, recipient="Ann@Example.org", raw=ANN, reason=WORDS)
    take_in(db, [late], now=NOW)
    membership.leave(db, Membership(ANN, "newsletter", run), "campaigns", by="one_click")
    reported, recounted = report_counts.audit(db, run)

    assert reported == recounted == before | {"complained": 1}
    assert where(db) == {"recipients"}
    assert {entry.scope for entry in suppression_lists.get(db, ANN).entries} >= {"campaigns", "all"}


def test_a_bounce_that_comes_by_mail_later_counts_and_names_nobody(db: Db) -> None:
    run = a_finished_run(db, 3).id
    db.messages.update_many({}, {"$set": {"state": "sent", "sent_at": NOW}})
    paths = ReturnPaths("bounces@example.org", [KEY])
    erase(db, READER)

    taken = returned_mail.take_in(db, dsn(paths.of(run, READER)), Recognition(paths, UnsubscribeLinks("", [KEY])))

    assert taken.result is MailResult.BOUNCED
    assert db.messages.find_one({"_id": message_id(run, READER)})["state"] == "bounced"
    assert report_counts.run_report(db, run)[1].bounced == 1
    assert where(db, READER) == {"recipients"}
    assert suppression_lists.page(db, before=None, limit=9) == []


def test_no_name_is_pushed_to_a_providers_lists(db: Db) -> None:
    suppression_lists.add(db, {"address": ANN, "scope": "all"}, by="cleo")
    an_audience(db, "ann")

    erase(db)

    assert suppressions.unpushed(db, limit=9) == []
    assert suppressions.by_address(db, after="", limit=9) == []
    assert suppressions.among(db, [ANN], {"all"}) == {ANN: "manual"}


def test_a_run_in_each_recipients_own_time_keeps_everybodys_place(db: Db) -> None:
    zones = {f"r{n:02d}": ("Asia/Tokyo", "Europe/Berlin", "America/New_York", "")[n % 4] for n in range(24)}
    spans_: list[list[str]] = []
    for key, gone in (("whole", ""), ("erased", "r09")):
        schedule = a_zoned_schedule(db, people_in(db, zones, key=key))
        (run,) = decide(db, schedule, now=TOKYO)
        if gone:
            erase(db, f"{gone}@example.org")
        expand(db, schedule, now=TOKYO, batch_size=5)
        spans_.append(spans(db, run.id))

    assert spans_[0] == spans_[1]
    assert look_again(db, "r09@example.org").state is ErasureState.DONE
    assert where(db, "r09@example.org") == {"recipients"}
    place = db.messages.find_one({"_id": message_id(run.id, "r09@example.org")})
    assert (place["state"], place["reason"]) == ("suppressed", "erased")


def test_an_erasure_is_asked_for_once_and_goes_on_after_each_kill(db: Db) -> None:
    run = an_active_life(db)

    with ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(lambda _: erasing.ask(db, ANN, by="cleo"), range(4)))
    steps = 0
    while erasing.newest(db, ANN).state is not ErasureState.DONE:
        steps += work(db, within_s=0)  # as if the process was killed after each step
        assert steps < 100

    assert len({erasure.id for erasure, _ in asked}) == 1
    assert sorted(new for _, new in asked) == [False, False, False, True]
    assert where(db) == {"recipients"}
    assert erasing.newest(db, ANN).counts["messages"] == db.messages.count_documents({"erased": True})
    assert db.messages.find_one({"_id": message_id(run, ANN)})["address"] == ERASED
    again, is_new = erasing.ask(db, ANN, by="cleo")
    assert (is_new, again.id != asked[0][0].id) == (True, True)


def test_two_processes_that_work_at_once_count_each_document_once(db: Db) -> None:
    an_active_life(db)
    with_ann = db.messages.count_documents({"address": {"$regex": "^ann@", "$options": "i"}})
    erasing.ask(db, ANN, by="cleo")

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: work(db), range(3)))

    done = erasing.newest(db, ANN)
    assert (done.state, done.counts["messages"], done.counts["mails"]) == (ErasureState.DONE, with_ann, 2)


def test_a_fault_of_one_erasure_stops_no_other(db: Db) -> None:
    an_audience(db, "ann", "bo")
    for address in (ANN, "bo@example.org"):
        erasing.ask(db, address, by="cleo")
    db.erasures.update_one({"address": ANN}, {"$set": {"counts": 7}})

    work(db)

    assert erasing.newest(db, ANN).state is ErasureState.RUNNING
    assert erasing.newest(db, "bo@example.org").state is ErasureState.DONE


def test_who_was_erased_is_in_no_resend_and_in_no_list_of_unreached(db: Db) -> None:
    run = a_finished_run(db, 4, failed=2)
    failed = [doc["address"] for doc in db.messages.find({"run_id": run.id, "state": "failed"})]
    before = report_counts.run_report(db, run.id)[1]

    erase(db, failed[0])

    assert unreached.count(db, run.id) == 1
    assert [one.address for one in unreached.page(db, run.id, after="", limit=9)] == [failed[1]]
    assert report_counts.run_report(db, run.id)[1] == before


def test_what_is_told_of_another_recipient_of_the_same_request_says_nothing_of_the_erasure(db: Db) -> None:
    run = an_active_life(db)
    first, second = (str(doc["address"]) for doc in db.messages.find({"run_id": run}).sort("_id"))

    erase(db, first)

    assert "erased" not in [step.what for step in story_of(db, message_id(run, second)).steps]
    assert "erased" in [step.what for step in story_of(db, message_id(run, first)).steps]
    assert sent_mails.first_of(db, run) == message_id(run, second)


def test_a_person_who_comes_back_is_somebody_new(db: Db) -> None:
    audience = an_audience(db, "ann", "bo")
    erase(db)

    put(db, audience, "ann", city="Oslo")
    schedule = a_schedule_to(db, audience)
    run = run_now(db, schedule)
    plan_all(db, schedule)

    assert contacts.get(db, audience, ANN).recipient.variables == {"city": "Oslo"}
    assert sorted(mailed(db, run)) == ["ann", "bo"]
    assert [one.recipients for one in runs_of(db, schedule)] == [2]
    remove(db, audience, "ann")
    assert audiences.get(db, audience).count == 1


def test_what_nobody_asked_for_is_not_found_and_what_is_no_address_is_refused(db: Db) -> None:
    with pytest.raises(ErasureNotFound):
        erasing.newest(db, ANN)
    with pytest.raises(InvalidInput):
        erasing.ask(db, "ann", by="cleo")

    assert db.erasures.count_documents({}) == 0
    assert db.suppressions.count_documents({}) == 0


def test_an_erasure_is_refused_while_a_process_that_does_not_know_it_may_run(db: Db) -> None:
    old = {"_id": "old-1", "kind": "sender", "protocol": 4, "lanes": [], "checked_in_at": server_now(db)}
    db.workers.insert_one(old)

    with pytest.raises(SendersTooOld):
        erasing.ask(db, ANN, by="cleo")


def test_a_form_of_somebody_who_was_erased_is_taken_anew(db: Db) -> None:
    a_topic(db)
    join_by_form(db, topics.get(db, "newsletter"), ANN, "Ann", now=server_now(db))
    erase(db)

    assert join_by_form(db, topics.get(db, "newsletter"), ANN, "Ann", now=server_now(db))
    assert [(one.by, one.name) for one in consent_views.view(db, ANN).consent] == [(BY_FORM, "Ann"), (BY_FORM, "")]
