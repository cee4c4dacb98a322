"""Who gets mail in spite of a suppression, and what is said of those who get none."""

from datetime import timedelta

import pytest

from mailroom.domain.events import EventKind
from mailroom.services.dispatching.exclusions import leave_out
from mailroom.services.operations import ledger
from mailroom.services.planning import asked_runs
from mailroom.storage.database import Db, server_now
from mailroom.storage.messages import document as messages
from tests.support.builders import stored_schedule
from tests.support.caller import Caller
from tests.support.claims import a_claim, a_claimed_mail
from tests.support.planned import expand_all, hold
from tests.support.suppressions import BO, take_in_event
from tests.support.system import System

MAIL = {"from": "a@mg.example.com", "subject": "Reset", "text": "Here", "to": [BO]}


def test_a_campaign_leaves_out_who_unsubscribed_while_it_waited(db: Db) -> None:
    claimed = a_claim(db, 2)
    mails = messages.of_dispatches(db, [claimed.id])
    take_in_event(db, EventKind.UNSUBSCRIBED, recipient=mails[claimed.id][0].address.upper())

    ((left,), over) = leave_out(db, [claimed], mails)

    assert (left.messages, over) == (1, [])


def test_a_run_is_planned_without_recipients_that_any_scope_forbids(db: Db) -> None:
    people = [{"address": f"{name}@example.org", "variables": {"city": "Rome"}} for name in ("a", "b", "c")]
    schedule = stored_schedule(db, recipients=people)
    take_in_event(db, EventKind.UNSUBSCRIBED, "e1", recipient="a@example.org")
    take_in_event(db, EventKind.BOUNCED, "e2", hard=True, recipient="b@example.org")
    run, _ = asked_runs.run_now(db, schedule.id, owner="tests", key="k")

    expand_all(db, hold(db, schedule.id))

    found = {doc["address"]: (doc["state"], doc.get("reason")) for doc in db.messages.find({"run_id": run.id})}
    assert found == {
        "a@example.org": ("suppressed", "unsubscribed"),
        "b@example.org": ("suppressed", "bounced"),
        "c@example.org": ("queued", None),
    }


@pytest.mark.parametrize("kind", [EventKind.UNSUBSCRIBED, EventKind.COMPLAINED])
def test_a_password_reset_goes_to_somebody_who_left_the_newsletter(
    call: Caller, system: System, kind: EventKind
) -> None:
    take_in_event(system.db, kind)

    answer = call("POST", "/v1/emails", json=MAIL)

    assert (answer.status_code, answer.json["status"], "recipients" in answer.json) == (202, "queued", False)
    assert system.db.dispatches.count_documents({"state": "pending", "messages": 1}) == 1


def test_who_left_the_newsletter_while_a_reset_waits_gets_the_reset(call: Caller, system: System) -> None:
    """And not who bounced meanwhile."""
    email = call("POST", "/v1/emails", json=MAIL | {"cc": ["cy@example.org"]}).json["id"]
    claimed = a_claimed_mail(system.db)
    take_in_event(system.db, EventKind.UNSUBSCRIBED, "e1")
    take_in_event(system.db, EventKind.BOUNCED, "e2", hard=True, recipient="cy@example.org")

    ((left,), over) = leave_out(system.db, [claimed], messages.of_dispatches(system.db, [claimed.id]))

    assert (left.messages, over) == (1, [])
    states = {one["address"]: one["status"] for one in call("GET", f"/v1/emails/{email}").json["recipients"]}
    assert states == {BO: "queued", "cy@example.org": "suppressed"}


def test_a_mail_to_nobody_who_may_get_it_says_so_at_once_and_is_never_called(call: Caller, system: System) -> None:
    take_in_event(system.db, EventKind.BOUNCED, hard=True)
    key = {"headers": {"Idempotency-Key": "k"}}

    first, again = (call("POST", "/v1/emails", json=MAIL, **key) for _ in range(2))

    assert first.status_code == again.status_code == 202
    assert (
        first.json
        == again.json
        == {
            "id": first.json["id"],
            "status": "suppressed",
            "recipients": [{"address": BO, "status": "suppressed", "reason": "bounced"}],
        }
    )
    shown = call("GET", f"/v1/emails/{first.json['id']}").json
    assert (shown["status"], shown["recipients"][0]["reason"]) == ("suppressed", "bounced")
    assert system.db.dispatches.count_documents({}) == 0
    assert call("POST", f"/v1/emails/{first.json['id']}/cancel").status_code == 409
    since = server_now(system.db) - timedelta(hours=1)
    assert ledger.check(system.db, since=since, young=timedelta(seconds=-5)).wrong == 0


def test_a_mail_to_several_tells_of_each_and_goes_to_who_is_left(call: Caller, system: System) -> None:
    take_in_event(system.db, EventKind.BOUNCED, hard=True)
    mail = MAIL | {"cc": ["Cy <cy@example.org>"]}

    answer = call("POST", "/v1/emails", json=mail).json
    (in_batch,) = call("POST", "/v1/emails/batch", json={"emails": [mail]}).json["items"]

    recipients = [
        {"address": BO, "status": "suppressed", "reason": "bounced"},
        {"address": "cy@example.org", "status": "queued"},
    ]
    assert (answer["status"], answer["recipients"]) == ("queued", recipients)
    assert (in_batch["code"], in_batch["status"], in_batch["recipients"]) == (202, "queued", recipients)
    assert [doc["messages"] for doc in system.db.dispatches.find()] == [1, 1]
    since = server_now(system.db) - timedelta(hours=1)
    assert ledger.check(system.db, since=since, young=timedelta(seconds=-5)).wrong == 0


def test_what_a_mail_was_answered_with_stands_whatever_is_lifted_later(call: Caller, system: System) -> None:
    take_in_event(system.db, EventKind.BOUNCED, hard=True)
    key = {"headers": {"Idempotency-Key": "k"}}
    first = call("POST", "/v1/emails", json=MAIL, **key).json
    call("DELETE", f"/v1/suppressions/{BO}")

    assert call("POST", "/v1/emails", json=MAIL, **key).json == first


def test_a_mail_sent_again_is_not_sent_to_who_is_suppressed(call: Caller, system: System) -> None:
    mail = call("POST", "/v1/emails", json=MAIL | {"cc": ["cy@example.org"]}).json["id"]
    system.db.dispatches.update_many({}, {"$set": {"state": "failed"}})
    system.db.messages.update_many({}, {"$set": {"state": "bounced"}})
    take_in_event(system.db, EventKind.BOUNCED, hard=True)

    again = call("POST", f"/v1/emails/{mail}/send-again", headers={"Idempotency-Key": "k"}).json

    assert [one["status"] for one in again["recipients"]] == ["suppressed", "queued"]
    assert [doc["messages"] for doc in system.db.dispatches.find({"state": "pending"})] == [1]


def test_a_reset_for_who_left_campaigns_goes_out_in_one_bulk_with_a_campaign_without_them(
    call: Caller, system: System
) -> None:
    """The campaign was planned after they had left: nobody of either leaves at the last moment."""
    take_in_event(system.db, EventKind.UNSUBSCRIBED)
    call("POST", "/v1/emails", json=MAIL)
    reset = a_claimed_mail(system.db)
    campaign = a_claim(system.db, 2)
    mails = messages.of_dispatches(system.db, [campaign.id, reset.id])

    left, over = leave_out(system.db, [campaign, reset], mails)

    assert [(one.id, one.messages) for one in left] == [(campaign.id, 2), (reset.id, 1)]
    assert over == []
