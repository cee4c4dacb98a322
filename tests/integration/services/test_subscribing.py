"""Readers subscribe by a form and confirm: one mail, one entry, in any order and at once, and nobody by surprise."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from threading import Barrier

import pytest

from mailroom.assembly.api import ApiServices, build_api_services
from mailroom.domain.confirm_links import OWNER, SubscriptionRequest
from mailroom.domain.consent import TopicChoice
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import RunId, run_of_email
from mailroom.domain.subscription_forms import FormInput
from mailroom.domain.suppressions import Entry
from mailroom.domain.unsubscribe_links import Membership
from mailroom.services.consent import membership, topics
from mailroom.services.consent.joining import Confirmed, confirm
from mailroom.services.consent.subscribing import subscribe
from mailroom.storage import suppressions
from mailroom.storage.database import Db, server_now
from tests.support.subscribing import ADDRESS, a_confirmed_topic, journal, requests_stored
from tests.support.system import System
from tests.support.topics import a_topic

BO = Membership(ADDRESS, "newsletter", RunId("sch_1-20261201T090000Z"))


@pytest.fixture
def services(system: System) -> ApiServices:
    return build_api_services(system.settings, app="tests")


def post(services: ApiServices, address: str = ADDRESS, *, name: str = "", now: datetime | None = None) -> None:
    def hand_in(draft: EmailDraft, key: str) -> object:
        return services.outbox.hand_in(draft, owner=OWNER, key=key)

    db, asked = services.db, FormInput("newsletter", address, name)
    topic, links = topics.get(db, asked.topic), services.confirm_links
    subscribe(db, topic, asked, now=now or server_now(db), links=links, hand_in=hand_in)


def at_once(*acts: Callable[[], object]) -> list[object]:
    """The results of all of them, begun in one moment by threads of their own."""
    together = Barrier(len(acts))

    def begin(act: Callable[[], object]) -> object:
        together.wait(10)
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(begin, acts))


def follow(db: Db, asked: SubscriptionRequest, *, now: datetime | None = None) -> Confirmed:
    return confirm(db, asked, now=now or server_now(db))


def the_request(db: Db) -> SubscriptionRequest:
    return requests_stored(db)[-1]


def choice(db: Db, topic: str = "newsletter") -> TopicChoice:
    return next(one for one in membership.choices(db, ADDRESS) if one.topic.id == topic)


def test_a_form_that_is_posted_often_and_in_any_spelling_sends_one_mail(services: ApiServices) -> None:
    a_confirmed_topic(services.db)

    for address in (ADDRESS, ADDRESS, "Bo@Example.ORG"):
        post(services, address, name="Bo")

    (mail,) = services.db.emails.find()
    assert mail["recipients"] == [ADDRESS]
    assert mail["sender"] == "Shop <news@mg.example.com>"
    assert mail["subject"] == "Confirm your subscription to Newsletter"
    assert services.db.dispatches.count_documents({}) == 1
    assert journal(services.db) == []


def test_the_mail_has_the_link_in_both_bodies_and_nothing_that_was_typed(services: ApiServices) -> None:
    a_confirmed_topic(services.db)

    post(services, name="Buy-at-evil.example")

    (body,) = services.db.bodies.find()
    url = services.confirm_links.url(the_request(services.db))
    assert url in body["text"]
    assert f'href="{url}"' in body["html"]
    assert "evil" not in body["text"] + body["html"]
    (mail,) = services.db.emails.find()
    assert "evil" not in str(mail)


def test_a_form_posted_at_once_to_two_processes_sends_one_mail(system: System, services: ApiServices) -> None:
    other = build_api_services(system.settings, app="tests")
    a_confirmed_topic(services.db)
    for number in range(10):
        address = f"reader-{number}@example.org"

        at_once(*[partial(post, which, address) for which in (services, other) * 2])

        assert services.db.emails.count_documents({"recipients": address}) == 1


def test_a_process_that_dies_before_the_mail_is_handed_in_leaves_it_to_the_next_form(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    asked, topic = FormInput("newsletter", ADDRESS, ""), topics.get(services.db, "newsletter")

    def dies(_draft: EmailDraft, _key: str) -> object:
        raise Unavailable("it died")

    with pytest.raises(Unavailable):
        subscribe(services.db, topic, asked, now=server_now(services.db), links=services.confirm_links, hand_in=dies)
    before = the_request(services.db)
    post(services)

    assert the_request(services.db) == before
    assert services.db.emails.count_documents({"_id": before.mail}) == 1


def test_a_topic_that_is_reworded_in_between_sends_no_second_mail(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    post(services)

    topics.change(services.db, "newsletter", {"confirm_subject": "Please confirm"}, seen_version=None, by="tests")
    post(services)

    assert services.db.emails.count_documents({}) == 1


@pytest.mark.parametrize(
    ("within_s", "by", "mails"),
    [
        (259_200, timedelta(hours=23), 1),
        (259_200, timedelta(hours=25), 2),
        (3_600, timedelta(minutes=50), 1),
        (3_600, timedelta(minutes=70), 2),  # its link has ended
    ],
)
def test_a_second_mail_goes_after_a_day_or_once_the_link_has_ended(
    services: ApiServices, within_s: int, by: timedelta, mails: int
) -> None:
    a_confirmed_topic(services.db, confirm_within_s=within_s)
    post(services)

    for _ in range(3):
        post(services, now=server_now(services.db) + by)

    assert services.db.emails.count_documents({}) == mails


def test_a_reader_confirms_once_however_often_and_by_how_many_clicks(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    for number in range(5):
        db, address = services.db, f"reader-{number}@example.org"
        post(services, address, name="Bo")
        asked = next(one for one in requests_stored(db) if one.address == address)

        outcomes = at_once(*[partial(follow, db, asked)] * 4)

        assert outcomes == [Confirmed.JOINED] * 4
        (entry,) = db.consents.find({"address": address})
        assert (entry["act"], entry["scope"], entry["by"]) == ("joined", "newsletter", "confirmation")
        assert (entry["run"], entry["asked_at"], entry["name"]) == (run_of_email(asked.mail), asked.asked_at, "Bo")
        assert entry["at"] >= asked.asked_at


def test_who_had_left_gets_the_topic_again_once_they_confirm_and_not_before(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    membership.leave(services.db, BO, "newsletter", by="page")

    post(services)

    assert choice(services.db).reason == "unsubscribed"
    assert follow(services.db, the_request(services.db)) is Confirmed.JOINED
    assert choice(services.db).subscribed
    assert journal(services.db) == [("left", "newsletter", "page"), ("joined", "newsletter", "confirmation")]


def test_who_had_left_all_joins_this_one_and_stays_away_from_the_others(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    a_topic(services.db, "offers")
    membership.leave(services.db, BO, "campaigns", by="page")

    post(services)
    follow(services.db, the_request(services.db))

    assert (choice(services.db).reason, choice(services.db, "offers").reason) == ("", "unsubscribed")


@pytest.mark.parametrize("used_before", [True, False])
def test_a_link_brings_nobody_back_who_has_left_since(services: ApiServices, used_before: bool) -> None:
    a_confirmed_topic(services.db)
    post(services)
    asked = the_request(services.db)
    if used_before:
        follow(services.db, asked)
    membership.leave(services.db, BO, "newsletter", by="one_click")

    outcomes = [follow(services.db, asked) for _ in range(2)]

    assert outcomes == [Confirmed.LEFT_SINCE] * 2
    assert choice(services.db).reason == "unsubscribed"
    assert journal(services.db)[-1][0] == "left"


def test_who_left_since_may_ask_again_at_once_and_gets_a_new_link(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    post(services)
    follow(services.db, the_request(services.db))
    membership.leave(services.db, BO, "newsletter", by="one_click")

    for _ in range(3):
        post(services)

    assert services.db.emails.count_documents({}) == 2
    assert follow(services.db, the_request(services.db)) is Confirmed.JOINED
    assert choice(services.db).subscribed


def test_a_clock_that_goes_back_does_not_keep_a_reader_out(services: ApiServices) -> None:
    """As after the election of a primary whose clock is behind."""
    a_confirmed_topic(services.db)
    ahead = server_now(services.db) + timedelta(seconds=30)
    suppressions.add(services.db, [(ADDRESS, Entry("newsletter", "unsubscribed", ahead))])

    post(services)

    assert follow(services.db, the_request(services.db)) is Confirmed.JOINED
    assert choice(services.db).subscribed


@pytest.mark.parametrize("reason", ["complained", "bounced", "asked by phone"])
def test_a_complaint_a_bounce_and_a_persons_word_are_not_confirmed_away(services: ApiServices, reason: str) -> None:
    a_confirmed_topic(services.db)
    suppressions.add(services.db, [(ADDRESS, Entry("campaigns", reason, server_now(services.db)))])

    post(services)

    assert follow(services.db, the_request(services.db)) is Confirmed.BLOCKED
    assert choice(services.db).reason == reason


def test_only_the_scope_of_all_mail_holds_the_confirmation_mail_back(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    now = server_now(services.db)
    suppressions.add(services.db, [(ADDRESS, Entry("campaigns", "complained", now))])
    suppressions.add(services.db, [("gone@example.org", Entry("all", "bounced", now))])

    post(services)
    post(services, "gone@example.org")

    assert services.db.emails.count_documents({}) == 2
    assert [doc["messages"] for doc in services.db.dispatches.find()] == [1]
    assert services.db.messages.count_documents({"state": "suppressed"}) == 1


def test_a_link_that_has_ended_changes_nothing(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    post(services)
    asked = the_request(services.db)

    assert follow(services.db, asked, now=asked.until - timedelta(milliseconds=1)) is Confirmed.JOINED
    services.db.consents.delete_many({})

    assert follow(services.db, asked, now=asked.until) is Confirmed.ENDED
    assert journal(services.db) == []


def test_without_confirmation_a_form_joins_at_once_and_is_journaled_once(services: ApiServices) -> None:
    a_topic(services.db)

    at_once(*[lambda: post(services, name="Bo")] * 4)

    assert services.db.emails.count_documents({}) == 0
    (entry,) = services.db.consents.find()
    assert (entry["address"], entry["act"], entry["scope"], entry["by"]) == (ADDRESS, "joined", "newsletter", "form")
    assert entry["name"] == "Bo"


@pytest.mark.parametrize("reason", ["unsubscribed", "complained", "bounced"])
def test_without_confirmation_a_form_that_anybody_may_post_lifts_nothing(services: ApiServices, reason: str) -> None:
    a_topic(services.db)
    suppressions.add(services.db, [(ADDRESS, Entry("newsletter", reason, server_now(services.db)))])

    post(services)

    assert choice(services.db).reason == reason
    assert journal(services.db) == []


def test_a_mail_that_cannot_be_handed_in_is_our_fault_and_not_the_visitors(services: ApiServices) -> None:
    a_confirmed_topic(services.db)
    services.db.topics.update_one({"_id": "newsletter"}, {"$set": {"confirmation.sender": "nobody"}})

    with pytest.raises(Unavailable):
        post(services)


def test_what_stands_is_removed_when_nothing_hangs_on_it(services: ApiServices) -> None:
    a_confirmed_topic(services.db, confirm_within_s=3_600)
    post(services)

    (stored,) = services.db.subscription_requests.find()
    assert stored["expires_at"] == stored["asked_at"] + timedelta(days=1)
    assert services.db.subscription_requests.index_information()["ended"]["expireAfterSeconds"] == 0
