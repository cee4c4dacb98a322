"""Each vendor through the outside: sent once, told by its webhooks, taken over by another one."""

import base64
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from mailroom.domain.ids import DispatchId
from mailroom.domain.shares import Shares
from tests.support.builders import recipients
from tests.support.campaigns import a_campaign, dispatch_states, finished
from tests.support.emails import hand_in, shown, status
from tests.support.letters import STYLED_LETTER, assert_made
from tests.support.postmark import Postmark
from tests.support.resend import Resend
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
    if vendor.says_whose:
        wait_for(lambda: status(system, email) == "delivered", within_s=20, what="it is delivered")
    told = [step["what"] for step in system.call("GET", f"/v1/emails/{email}/events").json()["items"]]
    assert told.count("delivered") == (3 if vendor.says_whose else 0)


@every
def test_a_mail_to_one_recipient_is_known_to_be_delivered(system: System, vendor: Any) -> None:
    start(system, vendor)
    email = hand_in(system)
    wait_for(lambda: status(system, email) == "sent", within_s=20, what="it is sent")

    tell(system, vendor, WORDS[vendor.name][1])

    wait_for(lambda: status(system, email) == "delivered", within_s=20, what="it is delivered")


@every
def test_a_lost_answer_is_settled_by_a_signed_event_and_nothing_goes_out_twice(system: System, vendor: Any) -> None:
    start(system, vendor)
    vendor.lose_answers = 1

    email = hand_in(system, to=["Bo <bo@example.org>"], bcc=["di@example.org"])

    wait_for(lambda: status(system, email) == "unknown", within_s=20, what="nobody can know yet")
    (unknown,) = system.call("GET", "/v1/dispatches?state=unknown").json()["items"]
    tell(system, vendor, WORDS[vendor.name][0])
    wait_for(lambda: status(system, email) in ("sent", "delivered"), within_s=20, what="the event settles it")
    wait_for(lambda: state_of(system, unknown["id"]) == "accepted", within_s=20, what="for both recipients")
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

    reached = "delivered" if vendor.says_whose else "sent"
    tell(system, vendor, *WORDS[vendor.name])
    wait_for(lambda: status(system, email) == reached, within_s=20, what="it is known to have gone out")
    system.start_senders(1)

    wait_for(
        lambda: state_of(system, unknown["id"]) == "accepted", within_s=20, what="its call is known to have gone out"
    )
    assert len(vendor.kept) == 1
    assert status(system, email) == reached


def state_of(system: System, dispatch: str) -> str:
    return str(system.call("GET", f"/v1/dispatches/{dispatch}").json()["state"])


@every
def test_a_campaign_reaches_everybody_once_with_what_is_theirs(system: System, vendor: Any) -> None:
    start(system, vendor)

    schedule = a_campaign(system, 40)

    wait_for(lambda: finished(system, schedule), within_s=40, what="the run is finished")
    assert Counter(kept.subject for kept in vendor.kept) == {f"mark-{n}": 1 for n in range(40)}
    assert set(dispatch_states(system)) == {"accepted"}


@every
def test_a_campaign_with_css_and_a_preheader_has_its_bodies_at_every_vendor(system: System, vendor: Any) -> None:
    start(system, vendor)

    schedule = a_campaign(system, 5, html=STYLED_LETTER, text=None, preheader="For {{ name }}")

    wait_for(lambda: finished(system, schedule), within_s=40, what="the run is finished")
    assert len(vendor.kept) == 5
    for kept in vendor.kept:
        number = kept.subject.removeprefix("mark-")
        assert_made(kept.text, kept.html, f"Reader {number}")


@every
def test_a_campaign_with_files_reaches_everybody_once_however_many_mails_a_call_has(
    system: System, vendor: Any
) -> None:
    start(system, vendor)
    logo = {"filename": "logo.png", "content": base64.b64encode(b"png").decode(), "content_id": "logo"}
    terms = {"filename": "terms.pdf", "content_type": "application/pdf", "content": "JVBERg=="}

    schedule = a_campaign(system, 12, html='<p>{{ name }}</p><img src="cid:logo">', attachments=[logo, terms])

    wait_for(lambda: finished(system, schedule), within_s=60, what="the run is finished")
    assert Counter(kept.subject for kept in vendor.kept) == {f"mark-{n}": 1 for n in range(12)}


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


@pytest.fixture
def two(system: System) -> Iterator[tuple[SendGrid, Postmark]]:
    """A first and a second provider; senders come when all is set."""
    first, second = SendGrid(), Postmark()
    system.environment |= {"MAILROOM_PROVIDERS": "sendgrid,postmark", **first.settings, **second.settings}
    system.start_api(webhooks=False)
    yield first, second
    first.stop()
    second.stop()


def too_fast(wait_s: int) -> Any:
    status_, headers, said = SendGrid.no(429, "too many requests")
    return status_, {**headers, "Retry-After": str(wait_s)}, said


@pytest.mark.parametrize("wait_s", [5, 60])
def test_while_a_provider_asks_to_wait_the_next_one_sends(
    system: System, two: tuple[SendGrid, Postmark], wait_s: int
) -> None:
    first, second = two
    first.refusals = [too_fast(wait_s)]
    system.start_senders(1)

    refused = hand_in(system)
    wait_for(lambda: status(system, refused) == "sent", within_s=20, what="the next one sends")
    later = hand_in(system)
    wait_for(lambda: status(system, later) == "sent", within_s=20, what="and what comes later")

    assert (len(first.kept), len(second.kept)) == (0, 2)
    assert not first.refusals


def test_a_short_wait_cuts_no_batch(system: System) -> None:
    first, second = SendGrid(), Ses()
    system.environment |= {"MAILROOM_PROVIDERS": "sendgrid,ses", **first.settings, **second.settings}
    first.refusals = [too_fast(2)]
    system.start_api(webhooks=False)
    system.start_senders(1)

    schedule = a_campaign(system, 40)

    wait_for(lambda: finished(system, schedule), within_s=40, what="the run is finished")
    assert (len(first.kept), len(second.kept)) == (40, 0)
    assert dispatch_states(system) == {"accepted": 1}
    first.stop()
    second.stop()


def test_a_provider_that_is_much_slower_than_the_next_one_loses_its_mail(
    system: System, two: tuple[SendGrid, Postmark]
) -> None:
    first, second = two
    first.latency_s = 2.5
    system.start_senders(1)
    ids = [hand_in(system) for _ in range(12)]

    def goes_by_the_second() -> bool:
        seen = len(first.kept)
        some = [hand_in(system) for _ in range(4)]
        wait_for(lambda: {status(system, id_) for id_ in some} == {"sent"}, within_s=20, what="they are sent")
        ids.extend(some)
        return len(first.kept) == seen

    wait_for(goes_by_the_second, within_s=60, what="the second one has all of them")

    (shown_, _) = system.call("GET", "/v1/providers").json()["items"]
    assert (shown_["name"], shown_["fault"]["slow"]) == ("sendgrid", True)
    assert "those of postmark" in shown_["fault"]["why"]
    assert len(first.kept) + len(second.kept) == len(ids)


def test_a_limit_that_people_have_set_sends_nothing_by_the_next_provider(
    system: System, two: tuple[SendGrid, Postmark]
) -> None:
    first, second = two
    limit = {"mails": 1, "per": "hour"}
    system.call("PUT", "/v1/rate-limits/provider/sendgrid", json=limit).raise_for_status()
    system.start_senders(1)
    one = hand_in(system)
    wait_for(lambda: status(system, one) == "sent", within_s=20, what="one may go at once")

    held, urgent = hand_in(system), hand_in(system, priority="high")

    wait_for(lambda: status(system, urgent) == "sent", within_s=20, what="what is urgent goes")
    assert status(system, held) == "queued"
    assert (len(first.kept), len(second.kept)) == (2, 0)


def test_mail_is_shared_between_providers_and_by_domain(system: System, two: tuple[SendGrid, Postmark]) -> None:
    system.environment["MAILROOM_PROVIDER_SHARES"] = "sendgrid=1,postmark=1; only.example: postmark=1"
    system.start_senders(2)
    ids = [hand_in(system, to=[f"r{n}@example.org"]) for n in range(30)]
    own = [hand_in(system, to=[f"r{n}@only.example"]) for n in range(10)]
    people = recipients(20)
    for number, person in enumerate(people):
        person["address"] = f"c{number}@{'only.example' if number < 5 else 'example.org'}"
        person["variables"]["mark"] = "mark"

    schedule = a_campaign(system, 20, recipients=people)

    wait_for(lambda: {status(system, id_) for id_ in ids + own} == {"sent"}, within_s=40, what="all are sent")
    wait_for(lambda: finished(system, schedule), within_s=40, what="the run is finished")
    drawn = Shares({"sendgrid": 1, "postmark": 1})
    by_first = {
        f"r{number}@example.org"
        for number, id_ in enumerate(ids)
        if drawn.order(DispatchId(f"{id_}-d00000"), "", ["sendgrid", "postmark"])[0] == "sendgrid"
    }
    sent_by = [Counter(address for kept in vendor.kept for address in kept.recipients) for vendor in two]
    assert {address for address in sent_by[0] if address.startswith("r")} == by_first
    assert not [address for address in sent_by[0] if address.endswith("only.example")]
    assert set((sent_by[0] + sent_by[1]).values()) == {1}
    assert (sent_by[0] + sent_by[1]).total() == 60
    assert dispatch_states(system) == {"accepted": 42}  # the campaign's are two


@pytest.mark.parametrize("vendor", ["sendgrid", "postmark", "resend"], indirect=True)
def test_one_refused_address_sinks_nobody_else(system: System, vendor: Any) -> None:
    start(system, vendor)

    email = hand_in(system, to=["bo@example.org", "refused@example.org"])

    wait_for(lambda: len(vendor.kept) == 1, within_s=20, what="the other one has it")
    wait_for(
        lambda: {one["status"] for one in shown(system, email)["recipients"]} == {"sent", "failed"},
        within_s=20,
        what="each has an end of its own",
    )
    assert vendor.kept[0].recipients == ["bo@example.org"]


@pytest.mark.parametrize("vendor", ["postmark", "resend"], indirect=True)
def test_hidden_recipients_who_are_left_alone_get_a_mail_each(system: System, vendor: Any) -> None:
    """These vendors make the headers from the recipients of the call: in one mail each would see the other."""
    start(system, vendor)

    email = hand_in(system, to=["refused@example.org"], bcc=["di@example.org", "ed@example.org"])

    wait_for(lambda: len(vendor.kept) == 2, within_s=20, what="each of them has it")
    wait_for(
        lambda: sorted(one["status"] for one in shown(system, email)["recipients"]) == ["failed", "sent", "sent"],
        within_s=20,
        what="each has an end of its own",
    )
    assert sorted(kept.recipients for kept in vendor.kept) == [["di@example.org"], ["ed@example.org"]]


@pytest.mark.parametrize("vendor", ["postmark"], indirect=True)
def test_each_mail_of_a_batch_at_postmark_has_an_end_of_its_own(system: System, vendor: Postmark) -> None:
    start(system, vendor)
    people = recipients(10)
    people[9]["address"] = "refused@example.org"
    for number, person in enumerate(people):
        person["variables"]["mark"] = f"mark-{number}"

    schedule = a_campaign(system, 10, recipients=people)

    wait_for(lambda: finished(system, schedule), within_s=40, what="the run is finished")
    assert Counter(kept.subject for kept in vendor.kept) == {f"mark-{n}": 1 for n in range(9)}
    assert dispatch_states(system) == {"split": 1, "accepted": 1, "failed": 1}


@pytest.mark.parametrize("vendor", ["postmark"], indirect=True)
def test_events_come_by_the_target_that_was_registered_though_there_is_no_test_event(
    system: System, vendor: Postmark
) -> None:
    start(system, vendor)
    body = {"provider": "postmark", "url": system.api_url}

    pushed = system.call("POST", "/v1/webhook-targets", json=body)

    assert (pushed.status_code, pushed.json()["has_test_event"], pushed.json()["arrived"]) == (200, False, False)
    assert vendor.secret not in pushed.text
    command = [sys.executable, "-m", "cli.main", "webhooks", "set", "--url", system.api_url]
    typed = subprocess.run(command, env=system.environment, capture_output=True, text=True, timeout=60, check=False)
    assert (typed.returncode, "postmark has no test event" in typed.stdout) == (0, True), typed.stderr
    email = hand_in(system)
    wait_for(lambda: status(system, email) == "sent", within_s=20, what="it is sent")
    tell(system, vendor, "Delivery")
    wait_for(lambda: status(system, email) == "delivered", within_s=20, what="its event came")
    (shown_,) = system.call("GET", "/v1/webhook-targets").json()["items"]
    assert shown_["arrived_at"]
    stored = system.db.webhook_targets.find_one({"_id": "postmark"})
    assert stored["marked_at"]
    assert vendor.secret not in str(stored)


@pytest.mark.parametrize("vendor", ["resend"], indirect=True)
def test_what_a_person_sends_again_is_a_new_call_to_resend(system: System, vendor: Resend) -> None:
    """Its answer to the earlier attempt's key must not stand in for it."""
    start(system, vendor)
    vendor.lose_answers = 1
    email = hand_in(system)
    wait_for(lambda: status(system, email) == "unknown", within_s=20, what="nobody can know")
    (unknown,) = system.call("GET", "/v1/dispatches?state=unknown").json()["items"]

    again = {"verdict": "send_again"}
    system.call("POST", f"/v1/dispatches/{unknown['id']}/resolve", json=again).raise_for_status()

    wait_for(lambda: status(system, email) == "sent", within_s=20, what="it is sent again")
    assert len(vendor.kept) == 2


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
