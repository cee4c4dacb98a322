"""Readers leave and join by links: once, in any order, and at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

from mailroom.domain.ids import RunId
from mailroom.domain.suppressions import Entry
from mailroom.domain.unsubscribe_links import Membership
from mailroom.services.consent import membership as memberships
from mailroom.services.feedback import suppressions as suppression_lists
from mailroom.storage import suppressions
from mailroom.storage.database import Db, server_now
from tests.support.topics import a_topic

BO = Membership("bo@example.org", "newsletter", RunId("sch_1-20261201T090000Z"))


def scopes(db: Db) -> dict[str, str]:
    stored = suppressions.get(db, BO.address)
    return {entry.scope: entry.reason for entry in stored.entries} if stored else {}


def journal(db: Db) -> list[tuple[str, str]]:
    return [(doc["act"], doc["scope"]) for doc in db.consents.find().sort("at", 1)]


def at_once(*acts: Callable[[], object]) -> None:
    """All of them, begun in one moment by threads of their own."""
    together = Barrier(len(acts))

    def begin(act: Callable[[], object]) -> None:
        together.wait(10)
        act()

    with ThreadPoolExecutor(len(acts)) as pool:
        list(pool.map(begin, acts))


def test_of_clicks_at_once_one_is_the_first(db: Db) -> None:
    new: list[bool] = []
    for _ in range(10):
        db.consents.delete_many({})
        suppressions.remove(db, [BO.address], None)
        new.clear()

        at_once(*[lambda: new.append(memberships.leave(db, BO, "newsletter", by="one_click"))] * 4)

        assert sorted(new) == [False, False, False, True]
        assert journal(db) == [("left", "newsletter")]
    assert db.events.count_documents({}) == 1


def test_leaving_one_topic_in_the_moment_of_joining_another_is_not_lost(db: Db) -> None:
    for topic in ("newsletter", "offers"):
        a_topic(db, topic)
    for _ in range(20):
        memberships.leave(db, BO, "newsletter", by="page")

        at_once(
            lambda: memberships.join(db, BO, "newsletter", by="page"),
            lambda: memberships.leave(db, BO, "offers", by="page"),
        )

        assert scopes(db) == {"offers": "unsubscribed"}
        memberships.join(db, BO, "offers", by="page")


def test_a_clock_that_goes_back_loses_neither_a_leave_nor_a_join(db: Db) -> None:
    """As after the election of a primary whose clock is behind."""
    ahead = server_now(db) + timedelta(seconds=30)
    suppressions.add(db, [(BO.address, Entry("newsletter", "unsubscribed", ahead))])

    assert memberships.join(db, BO, "newsletter", by="page")
    assert scopes(db) == {}
    assert memberships.leave(db, BO, "newsletter", by="page")
    assert scopes(db) == {"newsletter": "unsubscribed"}


def test_who_left_all_and_joins_one_stays_away_from_the_others(db: Db) -> None:
    for topic in ("newsletter", "offers", "partners"):
        a_topic(db, topic)
    memberships.leave(db, BO, "campaigns", by="page")

    memberships.join(db, BO, "newsletter", by="page")

    assert scopes(db) == {"offers": "unsubscribed", "partners": "unsubscribed"}
    assert journal(db) == [("left", "campaigns"), ("joined", "newsletter")]


def test_a_complaint_is_not_joined_away(db: Db) -> None:
    suppressions.add(db, [(BO.address, Entry("campaigns", "complained", server_now(db)))])

    assert not memberships.join(db, BO, "newsletter", by="page")
    assert scopes(db) == {"campaigns": "complained"}
    assert journal(db) == []


def test_a_topic_beyond_the_first_hundred_and_one_that_is_not_known_are_shown_for_their_links(db: Db) -> None:
    for number in range(100):
        a_topic(db, f"a{number:03}")
    a_topic(db)

    for topic in ("newsletter", "forgotten"):
        choices = {choice.topic.id: choice.subscribed for choice in memberships.choices(db, BO.address, of=topic)}
        assert choices[topic] is True
        memberships.leave(db, Membership(BO.address, topic, BO.run), topic, by="page")
        (choice,) = [c for c in memberships.choices(db, BO.address, of=topic) if c.topic.id == topic]
        assert choice.reason == "unsubscribed"


def test_what_people_do_is_journaled_once_and_a_mailbox_that_is_gone_is_no_consent(db: Db) -> None:
    a_topic(db)
    entry = {"address": BO.address, "scope": "newsletter", "reason": "by phone"}
    for _ in range(3):
        suppression_lists.add(db, entry, by="ann")
    suppression_lists.add(db, {"address": BO.address, "reason": "bounced"}, by="ann")

    suppression_lists.remove(db, BO.address, by="ann")

    assert journal(db) == [("left", "newsletter"), ("joined", "newsletter")]
