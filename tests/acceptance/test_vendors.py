"""SendGrid and Amazon SES through the outside: sent once, told by their signed webhooks, taken over by each other."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.campaigns import a_campaign, finished
from tests.support.emails import hand_in, shown, status
from tests.support.system import System, wait_for
from tests.support.vendors import VENDORS, WORDS, SendGrid, Ses

every = pytest.mark.parametrize("vendor", VENDORS, indirect=True)


@pytest.fixture
def vendor(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = VENDORS[request.param]()
    made.name = request.param
    yield made
    made.stop()


def start(system: System, vendor: Any, **settings: str) -> None:
    system.environment |= {"MAILROOM_PROVIDERS": vendor.name, **vendor.settings, **settings}
    system.start_api(webhooks=False)
    system.start_senders(1)


def tell(system: System, vendor: Any, *kinds: str) -> None:
    assert [answer.status_code for answer in vendor.tell(system.api_url, *kinds)][:1] == [200]


@every
def test_a_mail_goes_out_once_and_its_id_comes_back_with_the_events(system: System, vendor: Any) -> None:
    start(system, vendor)

    email = hand_in(system, to=["Bo <bo@example.org>"], cc=["cy@example.org"], bcc=["di@example.org"])

    wait_for(lambda: status(system, email) == "sent", within_s=20, what="it is sent")
    (kept,) = vendor.kept
    assert sorted(kept.recipients) == ["bo@example.org", "cy@example.org", "di@example.org"]
    assert "cy@example.org" in kept.headers
    assert "di@example.org" not in kept.headers
    assert kept.text == "Follow this link."
    assert email in kept.ids.values()
    tell(system, vendor, *WORDS[vendor.name])
    wait_for(lambda: status(system, email) == "delivered", within_s=20, what="it is delivered")
    told = [step["what"] for step in system.call("GET", f"/v1/emails/{email}/events").json()["items"]]
    assert told.count("delivered") == 3


@every
def test_a_lost_answer_is_settled_by_a_signed_event_and_nothing_goes_out_twice(system: System, vendor: Any) -> None:
    start(system, vendor)
    vendor.lose_answers = 1

    email = hand_in(system)

    wait_for(lambda: status(system, email) == "unknown", within_s=20, what="nobody can know yet")
    tell(system, vendor, WORDS[vendor.name][0])
    wait_for(lambda: status(system, email) == "sent", within_s=20, what="the event settles it")
    assert len(vendor.kept) == 1


@every
def test_a_mail_that_waits_to_be_sent_again_is_not_sent_once_its_events_tell_that_it_went_out(
    system: System, vendor: Any
) -> None:
    start(system, vendor)
    vendor.lose_answers = 1
    email = hand_in(system, to=["Bo <bo@example.org>"], cc=["cy@example.org"])
    wait_for(lambda: status(system, email) == "unknown", within_s=20, what="nobody can know yet")
    system.children[-1].stop(grace_s=20)
    (unknown,) = system.call("GET", "/v1/dispatches?state=unknown").json()["items"]
    again = {"verdict": "send_again"}
    system.call("POST", f"/v1/dispatches/{unknown['id']}/resolve", json=again).raise_for_status()

    tell(system, vendor, *WORDS[vendor.name])
    wait_for(lambda: status(system, email) == "delivered", within_s=20, what="it is delivered")
    system.start_senders(1)

    wait_for(
        lambda: state_of(system, unknown["id"]) == "accepted", within_s=20, what="its call is known to have gone out"
    )
    assert len(vendor.kept) == 1
    assert status(system, email) == "delivered"


def state_of(system: System, dispatch: str) -> str:
    return str(system.call("GET", f"/v1/dispatches/{dispatch}").json()["state"])


@every
def test_a_campaign_reaches_everybody_once_with_what_is_theirs(system: System, vendor: Any) -> None:
    start(system, vendor)

    schedule = a_campaign(system, 40)

    wait_for(lambda: finished(system, schedule), within_s=40, what="the run is finished")
    assert Counter(kept.subject for kept in vendor.kept) == {f"mark-{n}": 1 for n in range(40)}


def test_what_one_vendor_refuses_for_sure_the_other_one_sends(system: System) -> None:
    first, second = SendGrid(), Ses()
    first.refusals = [SendGrid.no(401, "authorization required")] * 50
    system.environment |= {"MAILROOM_PROVIDERS": "sendgrid,ses", **first.settings, **second.settings}
    system.start_api(webhooks=False)
    system.start_senders(1)

    ids = [hand_in(system, to=[f"r{n}@example.org"]) for n in range(5)]

    wait_for(lambda: {status(system, id_) for id_ in ids} == {"sent"}, within_s=20, what="the other one sends")
    assert Counter(kept.recipients[0] for kept in second.kept) == {f"r{n}@example.org": 1 for n in range(5)}
    assert not first.kept
    first.stop()
    second.stop()


def test_one_refused_address_sinks_nobody_else_at_sendgrid(system: System) -> None:
    vendor = SendGrid()
    system.environment |= {"MAILROOM_PROVIDERS": "sendgrid", **vendor.settings}
    system.start_api(webhooks=False)
    system.start_senders(1)

    email = hand_in(system, to=["bo@example.org", "refused@example.org"])

    wait_for(lambda: len(vendor.kept) == 1, within_s=20, what="the other one has it")
    wait_for(
        lambda: {one["status"] for one in shown(system, email)["recipients"]} == {"sent", "failed"},
        within_s=20,
        what="each has an end of its own",
    )
    assert vendor.kept[0].recipients == ["bo@example.org"]
    vendor.stop()


def test_a_topic_of_ours_is_subscribed_to_and_no_other(system: System) -> None:
    vendor = Ses()
    system.environment |= {"MAILROOM_PROVIDERS": "ses", **vendor.settings}
    system.start_api(webhooks=False)
    other = vendor.sns.topic.replace("mailroom", "somebody-elses")

    refused = vendor.sns.deliver(system.api_url, vendor.sns.confirmation(TopicArn=other))
    assert refused.status_code == 401
    assert not vendor.sns.fetched
    assert vendor.sns.deliver(system.api_url, vendor.sns.confirmation()).status_code == 200

    certificate, confirmed = vendor.sns.fetched
    assert certificate.endswith(".pem")
    assert confirmed == "/?Action=ConfirmSubscription&Token=t"
    vendor.stop()
