"""Mail goes no faster than people have said, over all senders; nothing is lost, and nothing urgent waits."""

from collections import Counter

import pytest

from mailroom.domain.ids import EmailId, dispatch_id, run_of_email
from mailroom.domain.shares import Shares
from tests.support.campaigns import a_campaign, dispatch_states, finished, marks
from tests.support.emails import hand_in, status
from tests.support.system import System, wait_for
from tests.support.vendors import SendGrid


@pytest.fixture
def waiting(system: System) -> System:
    """API and simulator; senders come when the limits are set."""
    system.start_simulator()
    system.start_api(webhooks=False)
    return system


def limit(system: System, what: str, mails: int, per: str = "second") -> None:
    answer = system.call("PUT", f"/v1/rate-limits/{what}", json={"mails": mails, "per": per})
    assert answer.status_code == 200, answer.text


def all_sent(system: System, ids: list[str]) -> bool:
    return {status(system, id_) for id_ in ids} == {"sent"}


def accepted_at(system: System, beginning: str) -> list[float]:
    """When mails to such addresses were accepted, by the simulator's record, in order."""
    return sorted(mail["accepted_at"] for mail in system.simulator.mails() if mail["recipient"].startswith(beginning))


def test_two_senders_together_go_no_faster_than_the_provider_s_limit_and_what_is_urgent_does_not_wait(
    waiting: System,
) -> None:
    limit(waiting, "provider/mailgun", 5)
    slow = [hand_in(waiting, to=[f"slow-{n}@example.org"]) for n in range(16)]
    waiting.start_senders(2)
    wait_for(lambda: len(accepted_at(waiting, "slow")) >= 2, within_s=20, what="they have begun")

    urgent = [hand_in(waiting, to=[f"urgent-{n}@example.org"], priority="high") for n in range(4)]

    wait_for(lambda: all_sent(waiting, slow + urgent), within_s=40, what="all are sent")
    normal, high = accepted_at(waiting, "slow"), accepted_at(waiting, "urgent")
    assert (len(normal), len(high)) == (16, 4)
    # One may go at once; the urgent ones have paid as well.
    assert normal[-1] - normal[0] >= (16 - 1) / 5 * 0.95
    assert high[-1] < normal[-1]
    assert set(Counter(mail["recipient"] for mail in waiting.simulator.mails()).values()) == {1}


def test_a_limited_domain_waits_and_others_do_not(waiting: System) -> None:
    limit(waiting, "domain/slow.example", 4)
    slow = [hand_in(waiting, to=[f"a-{n}@slow.example"]) for n in range(12)]
    fast = [hand_in(waiting, to=[f"b-{n}@fast.example"]) for n in range(12)]

    waiting.start_senders(2)

    wait_for(lambda: all_sent(waiting, slow + fast), within_s=40, what="all are sent")
    held, free = accepted_at(waiting, "a-"), accepted_at(waiting, "b-")
    assert (len(held), len(free)) == (12, 12)
    assert held[-1] - held[0] >= (12 - 1) / 4 * 0.95
    assert free[-1] < held[-1]
    # Of all who waited, not of one: on a slow machine some come back a moment after others took their places.
    trails = [
        step["what"] for mail in slow for step in waiting.call("GET", f"/v1/emails/{mail}/events").json()["items"]
    ]
    assert trails.count("claimed") <= 4 * len(slow)


@pytest.mark.parametrize("what", ["provider/mailgun", "domain/example.org"])
def test_a_campaign_that_would_break_a_limit_by_one_call_goes_in_parts_and_once(waiting: System, what: str) -> None:
    limit(waiting, what, 100)
    schedule = a_campaign(waiting, 120)

    waiting.start_senders(2)

    wait_for(lambda: finished(waiting, schedule), within_s=60, what="the run is finished")
    assert marks(waiting) == {f"mark-{n}": 1 for n in range(120)}
    states = dispatch_states(waiting)
    assert states["accepted"] >= 12
    assert set(states) == {"accepted", "split"}


def test_a_provider_that_finds_us_too_fast_gets_half_as_much_and_everything_in_the_end(waiting: System) -> None:
    limit(waiting, "provider/mailgun", 1000)
    waiting.simulator.fail_next("429", times=1)
    waiting.start_senders(1)

    ids = [hand_in(waiting, to=[f"r-{n}@example.org"]) for n in range(3)]

    wait_for(lambda: waiting.call("GET", "/v1/rate-limits").json()["items"][0]["factor"] == 0.5, within_s=20, what="it")
    wait_for(lambda: all_sent(waiting, ids), within_s=60, what="all are sent")
    assert len(waiting.simulator.mails()) == 3


def test_what_a_domain_holds_back_does_not_use_up_the_providers_limit(waiting: System) -> None:
    limit(waiting, "provider/mailgun", 400, per="hour")  # forty at once
    limit(waiting, "domain/slow.example", 1, per="hour")
    slow = [hand_in(waiting, to=[f"a-{n}@slow.example"]) for n in range(35)]
    waiting.start_senders(1)
    wait_for(lambda: len(accepted_at(waiting, "a-")) == 1, within_s=20, what="one of the slow ones is sent")

    free = [hand_in(waiting, to=[f"b-{n}@fast.example"]) for n in range(30)]

    wait_for(lambda: all_sent(waiting, free), within_s=20, what="what is free goes at once")
    assert len(accepted_at(waiting, "a-")) == 1
    assert {status(waiting, id_) for id_ in slow} == {"queued", "sent"}


def test_what_exceeds_one_providers_limit_holds_up_no_mail_of_another_one(system: System) -> None:
    second = SendGrid()
    system.start_simulator()
    system.environment |= {"MAILROOM_PROVIDERS": "mailgun,sendgrid", **second.settings}
    system.environment["MAILROOM_PROVIDER_SHARES"] = "mailgun=50,sendgrid=50"
    system.start_api(webhooks=False)
    limit(system, "provider/sendgrid", 10, "day")
    ids = [hand_in(system) for _ in range(40)]
    shares = Shares({"mailgun": 50, "sendgrid": 50})
    first_choice = {
        id_: shares.order(dispatch_id(run_of_email(EmailId(id_)), 0), "", ["mailgun", "sendgrid"])[0] for id_ in ids
    }
    of_mailgun = [id_ for id_, name in first_choice.items() if name == "mailgun"]
    assert len(of_mailgun) < 36  # at least five for the other one, which takes one at once

    system.start_senders(1, MAILROOM_SENDER_CONCURRENCY="2")

    wait_for(lambda: all_sent(system, of_mailgun), within_s=40, what="Mailgun's mails are sent")
    assert len(second.kept) == 1
    waiting = system.db.dispatches.distinct("reason", {"state": "pending"})
    assert waiting == ["held back by the limit of provider/sendgrid"]
    second.stop()
