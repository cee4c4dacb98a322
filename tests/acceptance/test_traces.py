"""A caller's trace leads from its request to what the provider tells of the mail, through every process."""

from tests.support.collector import collecting
from tests.support.emails import an_email
from tests.support.system import System, wait_for

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STEPS = {"POST /v1/emails", "commit", "claim", "fence", "call", "event delivered"}


def test_a_mail_is_followed_from_its_request_to_its_delivery(system: System) -> None:
    with collecting() as collector:
        traced = {"MAILROOM_TRACES_URL": collector.url}
        system.start_simulator()
        system.start_api(**traced)
        system.start_senders(1, **traced)
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}

        answer = system.call("POST", "/v1/emails", json=an_email(), headers=headers)
        wait_for(lambda: set(collector.of(TRACE)) >= STEPS, within_s=30, what="all of it was sent")

    made = collector.of(TRACE)
    request = made["POST /v1/emails"]
    assert answer.status_code == 202
    assert request.parent == "00f067aa0ba902b7"
    assert {span.parent for span in made.values() if span is not request} == {request.id}
    assert {name: made[name].part for name in STEPS} == {
        **dict.fromkeys(("POST /v1/emails", "commit", "event delivered"), "mailroom-api"),
        **dict.fromkeys(("claim", "fence", "call"), "mailroom-sender"),
    }
    assert (made["call"].facts["provider"], made["call"].facts["outcome"]) == ("mailgun", "accepted")
    assert made["event delivered"].links
    assert not [span for span in collector.spans if "example.org" in str(span)]
    (stored,) = system.db.dispatches.find({}, {"trace": 1})
    assert stored["trace"] == f"00-{TRACE}-{request.id}-01"


def test_untraced_nothing_of_a_callers_trace_is_stored(system: System) -> None:
    system.start_api(webhooks=False)

    system.call("POST", "/v1/emails", json=an_email(), headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})

    assert [doc for doc in system.db.dispatches.find({}) if "trace" in doc] == []
