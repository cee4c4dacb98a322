"""Who did not get it, asked and mended from outside."""

from collections import Counter

from tests.support.campaigns import a_campaign, finished
from tests.support.emails import hand_in, shown, status
from tests.support.system import System, wait_for

KEY = {"Idempotency-Key": "again-1"}


def went_out(system: System) -> Counter[str]:
    return Counter(mail["recipient"] for mail in system.simulator.mails())


def test_a_run_to_the_recipients_that_the_first_one_did_not_reach(running: System) -> None:
    refused = [f"reader-{n}@example.org" for n in (3, 7, 11)]
    running.simulator.turn(refused_addresses=refused)
    schedule = a_campaign(running, 30)
    wait_for(lambda: finished(running, schedule), within_s=40, what="the run is finished")
    (run,) = running.call("GET", f"/v1/schedules/{schedule}/runs").json()["items"]
    path = f"/v1/runs/{run['id']}"

    listed = running.call("GET", f"{path}/unreached").json()
    assert ({one["address"] for one in listed["items"]}, listed["left"]) == (set(refused), 3)
    running.simulator.turn(refused_addresses=[])
    again = running.call("POST", f"{path}/send-again", headers=KEY)
    assert again.status_code == 202
    assert running.call("POST", f"{path}/send-again", headers=KEY).json()["id"] == again.json()["id"]
    assert running.call("POST", f"{path}/send-again").status_code == 422

    wait_for(
        lambda: running.call("GET", f"/v1/runs/{again.json()['id']}").json()["status"] == "finished",
        within_s=40,
        what="the second run is finished",
    )
    assert went_out(running) == {f"reader-{n}@example.org": 1 for n in range(30)}
    listed = running.call("GET", f"{path}/unreached").json()
    assert listed["left"] == 0
    assert {one["sent_again"] for one in listed["items"]} == {again.json()["id"]}
    other = running.call("POST", f"{path}/send-again", headers={"Idempotency-Key": "another"})
    assert other.status_code == 409


def test_a_mail_goes_again_to_the_recipient_that_it_did_not_reach_and_its_headers_stay(running: System) -> None:
    running.simulator.turn(refused_addresses=["cy@example.org"])
    email = hand_in(running, to=["bo@example.org", "cy@example.org"], bcc=["di@example.org"], text="x" * 300_000)
    wait_for(
        lambda: {one["status"] for one in shown(running, email)["recipients"]} == {"delivered", "failed"},
        within_s=30,
        what="each has its end",
    )
    running.simulator.turn(refused_addresses=[])
    path = f"/v1/emails/{email}/send-again"

    again = running.call("POST", path, headers=KEY)
    assert again.status_code == 202
    assert running.call("POST", path, headers=KEY).json()["id"] == again.json()["id"]

    wait_for(lambda: status(running, again.json()["id"]) == "delivered", within_s=20, what="it is delivered")
    assert went_out(running) == {"bo@example.org": 1, "cy@example.org": 1, "di@example.org": 1}
    last = running.simulator.calls()[-1]
    assert "bo@example.org" in last["shown"]
    assert running.call("POST", path, headers={"Idempotency-Key": "another"}).status_code == 409
    assert running.call("POST", f"/v1/emails/{email}/send-again").status_code == 422
    assert [one["address"] for one in shown(running, again.json()["id"])["recipients"]] == ["cy@example.org"]
