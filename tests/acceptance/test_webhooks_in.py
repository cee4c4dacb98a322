"""`mailroom webhooks-in`: what became of a mail is told to a process of its own, beside an API that is away."""

from tests.support.system import System, wait_for


def test_events_are_taken_in_while_the_api_is_away_and_the_process_is_among_the_workers(system: System) -> None:
    system.start_simulator()
    api = system.start_api()
    intake = system.start_webhooks_in()
    system.call("POST", "/v1/webhook-targets", json={"provider": "mailgun", "url": system.webhooks_url})
    kinds = {worker["kind"] for worker in system.call("GET", "/v1/workers").json()["items"]}
    body = {"from": "a@mg.example.com", "to": ["bo@example.org"], "subject": "Hello", "text": "Hello"}
    mail = system.call("POST", "/v1/emails", json=body).json()["id"]

    api.kill()
    system.start_senders(1)
    event = {"kind": "delivered", "recipient": "bo@example.org"}  # the target's test event is another one's
    wait_for(lambda: system.db.events.find_one(event), within_s=30, what="the event came")
    intake.stop(grace_s=20)
    system.start_api(webhooks=False)

    assert "webhooks-in" in kinds
    assert system.call("GET", f"/v1/emails/{mail}").json()["status"] == "delivered"
    assert "webhooks-in" not in {worker["kind"] for worker in system.call("GET", "/v1/workers").json()["items"]}
