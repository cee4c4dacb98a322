"""The first provider answers 500 to everything: mails whose callers chose it go by the second, the others wait."""

from collections import Counter

import pytest

from mailroom.domain.dispatches.elsewhere import WentTwice
from mailroom.services.reports import elsewhere
from tests.support.emails import hand_in, shown, status
from tests.support.system import System, wait_for
from tests.support.vendors import SendGrid

EACH = 8


def test_elsewhere_leaves_by_the_second_provider_and_wait_goes_out_once(system: System) -> None:
    second = SendGrid()
    system.start_simulator()
    # Mailgun's log shows an acceptance only after the mails have gone elsewhere.
    system.simulator.turn(event_lag_s=6)
    system.simulator.fail_next("500_after", times=EACH)
    system.simulator.fail_next("500_before", times=0)
    system.environment |= {"MAILROOM_PROVIDERS": "mailgun,sendgrid", **second.settings}
    system.environment |= {"MAILROOM_CALL_TIMEOUT": "1", "MAILROOM_IDLE_LIMIT": "1", "MAILROOM_SETTLE": "8"}
    system.start_api(webhooks=False)
    system.start_senders(2)

    moving, waiting = [], []
    for number in range(EACH):
        moving.append(hand_in(system, to=[f"moves-{number}@example.org"], on_doubt="elsewhere"))
        waiting.append(hand_in(system, to=[f"waits-{number}@example.org"]))

    wait_for(lambda: all(status(system, id_) == "sent" for id_ in moving), within_s=60, what="they go by the second")
    assert max(seconds_in_doubt(system)) < 10
    first_calls = Counter(system.db.dispatches.distinct("run_id", {"elsewhere": {"$exists": True}}))
    assert first_calls.keys() <= set(moving)
    assert len(first_calls) >= EACH // 2  # Mailgun's circuit opens meanwhile: later mails go by the second at once
    assert all(status(system, id_) in ("in_doubt", "sent") for id_ in waiting)
    system.simulator.heal()
    wait_for(lambda: settled(system), within_s=90, what="every doubt is concluded")

    by_first = Counter(mail["recipient"] for mail in system.simulator.mails())
    by_second = Counter(address for kept in second.kept for address in kept.recipients)
    assert max([*by_first.values(), *by_second.values()]) == 1
    assert {f"waits-{number}@example.org" for number in range(EACH)} <= by_first.keys() | by_second.keys()
    twice = by_first.keys() & by_second.keys()
    assert twice  # else nothing was tried
    assert twice == {address(system, id_) for id_ in moving if shown(system, id_)["went_twice"] == "yes"}
    assert elsewhere.count(system.db) == {
        WentTwice.NO: len(first_calls) - len(twice),
        WentTwice.MAYBE: 0,
        WentTwice.YES: len(twice),
    }
    second.stop()


@pytest.mark.parametrize("fault", ["is switched off", "refuses us"])
def test_mails_whose_only_provider_takes_nothing_hold_up_no_other(system: System, fault: str) -> None:
    second = SendGrid()
    system.start_simulator()
    system.environment |= {"MAILROOM_PROVIDERS": "mailgun,sendgrid", **second.settings}
    system.start_api(webhooks=False)
    if fault == "refuses us":
        second.refusals = [SendGrid.no(401, "authorization required")] * 500
    else:
        system.call("PATCH", "/v1/providers/sendgrid", json={"enabled": False}).raise_for_status()
    stuck = [hand_in(system) for _ in range(5 * EACH)]
    system.db.dispatches.update_many({}, {"$set": {"among": ["sendgrid"]}})  # as of mails that went elsewhere
    system.start_senders(1, MAILROOM_SENDER_CONCURRENCY="2")

    other = hand_in(system)

    wait_for(lambda: status(system, other) == "sent", within_s=20, what="the other one is sent")
    assert not second.kept
    second.heal()
    system.call("PATCH", "/v1/providers/sendgrid", json={"enabled": True}).raise_for_status()
    wait_for(lambda: {status(system, id_) for id_ in stuck} == {"sent"}, within_s=120, what="they go by their provider")
    assert len(second.kept) == 5 * EACH
    second.stop()


def seconds_in_doubt(system: System) -> list[float]:
    """Of each mail that went elsewhere: from its first call's 500 until the second provider had it."""
    firsts = {doc["_id"]: doc for doc in system.db.dispatches.find({"elsewhere": {"$exists": True}})}
    seconds = system.db.dispatches.find({"elsewhere_of": {"$in": list(firsts)}})
    return [(doc["accepted"][0]["at"] - firsts[doc["elsewhere_of"]]["in_doubt_at"]).total_seconds() for doc in seconds]


def settled(system: System) -> bool:
    return not system.db.dispatches.count_documents({"state": {"$in": ["pending", "sending", "in_doubt"]}})


def address(system: System, email_id: str) -> str:
    return str(shown(system, email_id)["recipients"][0]["address"])
