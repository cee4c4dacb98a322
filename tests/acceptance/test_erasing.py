"""People are erased while a campaign goes to them and a sender dies: nobody else's mail is doubled or lost."""

from mailroom.domain.erasures import ErasureState
from mailroom.services.persons import erasing
from mailroom.services.reports import counts as report_counts
from tests.support.campaigns import a_campaign, marks, only_run, the_holder
from tests.support.system import System, wait_for

COUNT = 4_000
GONE = range(50, COUNT, 200)


def test_erasures_while_a_campaign_goes_out_and_its_sender_dies_double_and_lose_nothing(system: System) -> None:
    system.start_simulator()
    system.start_api()
    system.simulator.turn(latency_s=0.2)
    senders = system.start_senders(3, MAILROOM_SENDER_CONCURRENCY="2", MAILROOM_LEASE_TTL="3", MAILROOM_BATCH_SIZE="50")
    schedule = a_campaign(system, COUNT)
    addresses = [f"reader-{number}@example.org" for number in GONE]
    wait_for(lambda: len(system.simulator.calls()) >= 3, within_s=30, what="some calls were made")

    answers = [system.call("POST", f"/v1/contacts/{address}/erase").status_code for address in addresses]
    the_holder(system, senders).kill()

    def left() -> int:
        return system.db.dispatches.count_documents({"state": {"$in": ["pending", "sending"]}})

    def doubted() -> set[str]:
        """Whom a call was for that is in doubt: nobody knows yet whether the dead sender had made it."""
        ids = [doc["_id"] for doc in system.db.dispatches.find({"state": "in_doubt"}, {"_id": 1})]
        return {doc["address"] for doc in system.db.messages.find({"dispatch_id": {"$in": ids}}, {"address": 1})}

    def not_erased() -> set[str]:
        return {one for one in addresses if erasing.newest(system.db, one).state is not ErasureState.DONE}

    wait_for(lambda: not left(), within_s=60, what="each call is made")
    wait_for(lambda: not_erased() <= doubted(), within_s=90, what="all are erased whose calls are known")
    assert set(answers) == {202}
    went, waiting = marks(system), doubted()
    gone, in_doubt = {f"mark-{number}" for number in GONE}, {f"mark-{one[7:-12]}" for one in waiting}
    assert max(went.values()) == 1
    assert {f"mark-{number}" for number in range(COUNT)} - went.keys() <= gone | in_doubt
    named = {doc["address"] for doc in system.db.messages.find({}, {"address": 1})}
    assert named.isdisjoint({*addresses} - waiting)
    run = only_run(system, schedule)
    assert run
    report = report_counts.run_report(system.db, run.id)[1]
    assert (report.recipients, report.sent + report.suppressed + len(waiting)) == (COUNT, COUNT)
    reported, recounted = report_counts.audit(system.db, run.id)
    assert reported == recounted
