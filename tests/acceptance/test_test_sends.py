"""Test sends of a campaign, with real processes: single mails that are marked, sent once a press, in no count, held by
a bounce and by no topic, and never a control for a doubt."""

from mailroom.services.reports import counts as report_counts
from tests.support.campaigns import a_campaign, finished
from tests.support.emails import hand_in, status
from tests.support.system import System, a_schedule_body, wait_for
from tests.support.topics import LINKED, a_topic


def sent_test(system: System, schedule: str, *to: str, key: str) -> dict[str, str]:
    """The ids of the mails, by their addresses."""
    answer = system.call(
        "POST", f"/v1/schedules/{schedule}/test", json={"to": list(to)}, headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 202, answer.text
    return {item["address"]: item["id"] for item in answer.json()["items"]}


def a_schedule_of_tomorrow(system: System, **changes: object) -> str:
    answer = system.call("POST", "/v1/schedules", json=a_schedule_body(**changes))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_test_send_is_no_control_for_a_doubt_and_an_ordinary_mail_is(running: System) -> None:
    schedule = a_schedule_of_tomorrow(running)
    for number in range(3):
        (test,) = sent_test(running, schedule, "me@example.com", key=str(number)).values()
        wait_for(lambda id_=test: status(running, id_) == "delivered", within_s=30, what="the test went out")

    noted = running.db.controls.count_documents({})
    mail = hand_in(running)
    wait_for(lambda: running.db.controls.count_documents({}) == 1, within_s=30, what="the mail is noted as a control")

    assert noted == 0
    control = running.db.controls.find_one({})
    assert control
    assert control["message_id"].startswith(mail)
    marked = {doc["run_id"]: doc.get("test") for doc in running.db.dispatches.find()}
    assert [is_test for id_, is_test in sorted(marked.items()) if id_ != mail] == [True] * 3
    assert marked[mail] is None


def test_pressed_twice_it_goes_once_though_the_content_has_changed_in_between(running: System) -> None:
    schedule = a_schedule_of_tomorrow(running)

    first = sent_test(running, schedule, "me@example.com", "you@example.com", key="a")
    edited = running.call("PATCH", f"/v1/schedules/{schedule}", json={"subject": "Another"})
    again = sent_test(running, schedule, "me@example.com", "you@example.com", key="a")
    other = sent_test(running, schedule, "me@example.com", key="b")
    wait_for(lambda: running.simulator.record()["mails"] == 3, within_s=30, what="three mails went out")

    assert edited.status_code == 200
    assert again == first
    assert other["me@example.com"] not in first.values()
    assert sorted((mail["recipient"], mail["subject"]) for mail in running.simulator.mails()) == [
        ("me@example.com", "[Test] Another"),
        ("me@example.com", "[Test] Hello Bo"),
        ("you@example.com", "[Test] Hello Bo"),
    ]


def test_it_is_in_no_count_of_the_schedule_and_its_runs(running: System) -> None:
    schedule = a_campaign(running, 2)
    run = wait_for(lambda: finished(running, schedule), within_s=40, what="the run is finished")
    before = running.call("GET", f"/v1/schedules/{schedule}").json()

    (test,) = sent_test(running, schedule, "reader-0@example.org", key="a").values()
    wait_for(lambda: status(running, test) == "delivered", within_s=30, what="the test went out")

    report = report_counts.run_report(running.db, run.id)[1]
    after = running.call("GET", f"/v1/schedules/{schedule}").json()
    assert (report.recipients, report.sent) == (2, 2)
    assert (after["last_sent_at"], after["last_run_at"]) == (before["last_sent_at"], before["last_run_at"])
    assert len(running.call("GET", f"/v1/schedules/{schedule}/runs").json()["items"]) == 1


def test_a_bounce_holds_it_back_and_a_topic_that_was_left_does_not(running: System) -> None:
    a_topic(running.db)
    schedule = a_schedule_of_tomorrow(running, topic="newsletter", **LINKED)
    for address, reason, scope in (
        ("left@example.com", "unsubscribed", "newsletter"),
        ("all@example.com", "unsubscribed", "campaigns"),
        ("gone@example.com", "bounced", "all"),
    ):
        body = {"address": address, "reason": reason, "scope": scope}
        assert running.call("POST", "/v1/suppressions", json=body).status_code in (200, 201)

    tests = sent_test(running, schedule, "left@example.com", "all@example.com", "gone@example.com", key="a")

    wait_for(lambda: running.simulator.record()["mails"] == 2, within_s=30, what="two mails went out")
    assert status(running, tests["gone@example.com"]) == "suppressed"
    assert {mail["recipient"] for mail in running.simulator.mails()} == {"left@example.com", "all@example.com"}
    assert {tuple(doc["tags"]) for doc in running.db.emails.find()} == {("test",)}
    assert all("List-Unsubscribe" not in copy["headers"] for copy in running.simulator.copies())
