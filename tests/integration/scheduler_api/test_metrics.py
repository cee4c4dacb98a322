"""`/metrics` of the API: what it took in, what came back, and how the whole system is."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.workers import WorkerKind
from mailroom.services.operations import system_figures
from mailroom.storage.database import Db, server_now
from tests.support.caller import Caller
from tests.support.emails import an_email
from tests.support.webhooks import OPENED, webhook
from tests.support.workers import checked_in

KEY = {"Idempotency-Key": "order-17"}


def sample(call: Caller, series: str) -> float:
    """The value of a series; 0 where there is none."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", call("GET", "/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


@pytest.fixture
def grown(call: Caller) -> Callable[[str], Callable[[], float]]:
    """By how much a series has grown since now."""

    def since(series: str) -> Callable[[], float]:
        before = sample(call, series)
        return lambda: sample(call, series) - before

    return since


def test_mails_taken_in_are_counted_once_by_priority(call: Caller, grown: Any) -> None:
    high, normal = (grown(f'mailroom_accepted_mails_total{{priority="{p}"}}') for p in ("high", "normal"))

    for _ in range(3):
        call("POST", "/v1/emails", json=an_email(priority="high"), headers=KEY)
    call("POST", "/v1/emails/batch", json={"emails": [an_email(), an_email(to=["nonsense"]), an_email()]})
    call("POST", "/v1/emails", json={})

    assert (high(), normal()) == (1, 2)


def test_requests_are_counted_by_template_and_status_and_unknown_paths_together(call: Caller, grown: Any) -> None:
    missing = grown('mailroom_http_requests_total{method="GET",route="/v1/emails/{email_id}",status="404"}')
    nowhere = grown('mailroom_http_requests_total{method="GET",route="none",status="404"}')

    for number in range(5):
        call("GET", f"/v1/emails/em_{number}")
        call.client.get(f"/no/such/{number}")

    assert (missing(), nowhere()) == (5, 5)
    assert "em_3" not in call("GET", "/metrics").text


def test_events_are_counted_by_their_outcome_with_their_lag(call: Caller, grown: Any) -> None:
    stored, again, replayed = (
        grown(f'mailroom_webhook_events_total{{provider="mailgun",result="{result}"}}')
        for result in ("stored", "duplicate", "replayed")
    )
    forged = grown('mailroom_webhooks_refused_total{code="bad_signature",provider="mailgun"}')
    late = grown('mailroom_webhook_lag_seconds_bucket{le="86400.0",provider="mailgun"}')
    every = grown('mailroom_webhook_lag_seconds_count{provider="mailgun"}')

    call("POST", "/webhooks/mailgun", json=webhook(OPENED))
    call("POST", "/webhooks/mailgun", json=webhook(OPENED))
    call("POST", "/webhooks/mailgun", json=webhook({**OPENED, "id": "e2"}))
    call("POST", "/webhooks/mailgun", json=webhook(OPENED, key="another"))

    assert (stored(), again(), replayed(), forged()) == (1, 1, 1, 1)
    assert (every(), late()) == (1, 0)  # the event is from months ago


def test_unread_events_are_shown_as_0_before_a_provider_tells_anything(call: Caller) -> None:
    assert 'mailroom_webhook_events_unread{provider="mailgun"} 0.0' in call("GET", "/metrics").text


def test_round_trips_to_the_stores_are_measured(call: Caller, grown: Any) -> None:
    mongodb = grown('mailroom_store_round_trip_seconds_count{store="mongodb"}')

    call("GET", "/v1/runs")

    assert mongodb() >= 1


def test_the_queue_is_shown_by_kind_and_priority_with_its_age(call: Caller, db: Db) -> None:
    for priority in ("high", "high", "low"):
        call("POST", "/v1/emails", json=an_email(priority=priority))
    call("POST", "/v1/emails", json=an_email(send_at=(server_now(db) + timedelta(days=1)).isoformat()))
    earlier = server_now(db) - timedelta(seconds=90)
    db.dispatches.update_one({"rank": 0}, {"$set": {"not_before": earlier}})
    checked_in(db, "sender-1")
    checked_in(db, "api-1", kind=WorkerKind.API)

    found = system_figures.read_figures(db, calls_at_once=8)

    depth, age = found["mailroom_queue_dispatches"], found["mailroom_queue_age_seconds"]
    assert depth == {
        ("single", "high"): 2,
        ("single", "normal"): 0,
        ("single", "low"): 1,
        ("campaign", "none"): 0,
    }
    assert 90 <= age["single", "high"] < 120
    assert age["campaign", "none"] == 0
    assert found["mailroom_dispatches"]["pending",] == 4
    assert (found["mailroom_senders"], found["mailroom_senders_wanted"]) == ({(): 1.0}, {(): 1.0})


def test_more_senders_are_wanted_for_more_lanes_with_work_and_none_for_what_cannot_go(call: Caller, db: Db) -> None:
    now = server_now(db)
    some = {"state": "pending", "rank": 3, "not_before": now - timedelta(seconds=5)}
    db.dispatches.insert_many(
        {"_id": f"r-d{lane}-{n}", "lane": f"schedule/s{lane}", "run_id": "r", **some}
        for lane in range(5)
        for n in range(300)
    )

    def wanted() -> float:
        return system_figures.read_figures(db, calls_at_once=8)["mailroom_senders_wanted"][()]

    free = wanted()
    db.lanes.insert_many(
        {"_id": f"schedule/s{lane}", "waits_until": now + timedelta(minutes=5), "waits_why": "quota"}
        for lane in range(3)
    )
    some_wait = wanted()
    call("POST", "/v1/sending/stop")
    stopped = wanted()

    assert (free, some_wait, stopped) == (4, 2, 1)


def test_metrics_are_answered_while_mongodb_is_away(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = call.client.application.extensions["services"].figures
    monkeypatch.setattr(figures, "_read", lambda: (_ for _ in ()).throw(ZeroDivisionError))

    shown = call("GET", "/metrics")

    assert shown.status_code == 200
    assert "mailroom_figures_fresh 0.0" in shown.text
    assert "mailroom_http_requests_total" in shown.text
    assert "mailroom_dispatches{" not in shown.text
