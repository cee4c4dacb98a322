"""A person is found in campaigns and single mails; what a dispatch is about is said in words a person knows."""

from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.errors import InvalidInput
from mailroom.domain.ids import DispatchId
from mailroom.domain.searches import EmailSearch
from mailroom.services.mails import counts as mail_counts
from mailroom.services.mails.accept import Outbox
from mailroom.services.reports import people
from mailroom.services.reports.descriptions import describe
from mailroom.services.reports.people import MOST_ADDRESSES, MOST_LOOKS, SentMessage
from mailroom.storage.database import Db
from mailroom.storage.paging import Place
from tests.support.builders import NOW, recipients, stored_schedule
from tests.support.explaining import work_of
from tests.support.lines import Line, a_run


def a_mail(db: Db, *to: str, subject: str = "Your password", **changes: Any) -> str:
    draft = EmailDraft(sender="a@mg.example.com", to=list(to), subject=subject, text="Hello", **changes)
    return Outbox(db, lanes=4).hand_in(draft, owner="ann").id


def everything(db: Db, typed: str, limit: int = 50) -> list[SentMessage]:
    found: list[SentMessage] = []
    before: Place | None = None
    while True:
        page = people.find(db, typed, before=before, limit=limit)
        found += page.items
        before = page.next_place
        if before is None:
            return found


def test_a_person_is_found_in_campaigns_and_single_mails_newest_first(line: Line) -> None:
    first = a_mail(line.db, "Reader <reader-1@example.org>", "reader-2@example.org")
    run_id, schedule_id = a_run(line, 30)
    last = a_mail(line.db, "READER-1@example.org", subject="Your order")
    a_mail(line.db, "somebody@example.org")

    page = people.find(line.db, " Reader-1@Example.org", limit=10)

    assert [(one.email_id, one.run_id) for one in page.items] == [(last, None), (None, run_id), (first, None)]
    of_run = page.items[1]
    assert (of_run.schedule_name, of_run.schedule_id, of_run.subject) == (
        "Weekday digest",
        schedule_id,
        "Hello {{ name }}",
    )
    assert (of_run.state, of_run.address, of_run.dispatch_id) == ("queued", "reader-1@example.org", f"{run_id}-d00001")
    assert [one.subject for one in page.items] == ["Your order", "Hello {{ name }}", "Your password"]
    assert (page.addresses, page.all_addresses, page.next_place) == (["reader-1@example.org"], True, None)


def test_pages_of_any_size_give_each_mail_once_and_in_order(line: Line) -> None:
    for _ in range(3):
        a_mail(line.db, "reader-1@example.org", "reader-2@example.org")
    for key in "abc":
        schedule = stored_schedule(line.db, recipients=recipients(3))
        a_run(line, 3, key=key, of=schedule)
        a_mail(line.db, "reader-1@example.org")

    for typed, count in (("reader-1@example.org", 9), ("reader-", 3 * 2 + 3 * 3 + 3), ("nobody@example.org", 0)):
        whole = everything(line.db, typed, limit=100)
        assert len(whole) == len({one.id for one in whole}) == count
        assert [one.at for one in whole] == sorted((one.at for one in whole), reverse=True)
        for limit in (1, 2, 5):
            assert sorted(everything(line.db, typed, limit=limit), key=str) == sorted(whole, key=str)


def test_the_start_of_an_address_finds_those_that_begin_so_as_far_as_their_bound(line: Line) -> None:
    a_run(line, 20)
    a_mail(line.db, "reading@example.org", "zoe@example.org", subject="To read")
    a_mail(line.db, "zoe.b@example.org")

    mail = people.find(line.db, "READING@", limit=50)
    campaign = people.find(line.db, "reader-1", limit=50)

    assert ([one.subject for one in mail.items], mail.all_addresses) == (["To read"], True)
    assert people.find(line.db, "zoe", limit=50).addresses == ["zoe.b@example.org", "zoe@example.org"]
    assert (len(campaign.addresses), campaign.all_addresses) == (MOST_ADDRESSES, False)
    assert len(campaign.items) == MOST_ADDRESSES
    assert people.find(line.db, "(.*)", limit=50).addresses == []
    with pytest.raises(InvalidInput, match="at least 3 characters"):
        people.find(line.db, "re", limit=50)


def test_a_search_looks_through_a_bounded_number_of_runs_a_page_and_then_on(db: Db) -> None:
    plain = {"schedule_id": "sch_1", "kind": "due", "state": "finished", "revision": 1, "recipients": 1, "instants": 1}
    rows = [
        {"_id": f"sch_1-{n:05d}", "due_at": NOW - timedelta(minutes=n), "created_at": NOW, "chunks": 1, **plain}
        for n in range(2 * MOST_LOOKS + 500)
    ]
    db.runs.insert_many([row | {"planned_through": ""} for row in rows])
    a_mail(db, "bo@example.org")
    db.emails.update_many({}, {"$set": {"created_at": NOW - timedelta(days=30)}})

    pages = [people.find(db, "bo@example.org", limit=10)]
    while pages[-1].next_place:
        pages.append(people.find(db, "bo@example.org", before=pages[-1].next_place, limit=10))
    work = work_of(db, lambda asked: people.find(asked, "bo@example.org", limit=10))

    assert [len(page.items) for page in pages] == [0, 0, 1]
    assert (work.walks_a_collection, work.sorts) == (False, False)
    assert work.keys <= 5 * MOST_LOOKS


def test_the_start_of_an_address_costs_a_look_for_each_address_not_for_each_mail(db: Db) -> None:
    a_mail(db, "bo@example.org")
    (model,) = db.emails.find()
    db.emails.insert_many(
        {**model, "_id": f"em_{n}", "recipients": [f"reader-{n % 3}@example.org"]} for n in range(5_000)
    )

    work = work_of(db, lambda asked: people.find(asked, "reader-", limit=10))

    assert not work.walks_a_collection
    assert work.keys < 1_000


def test_a_dispatch_is_described_by_its_people_its_subject_and_its_campaign(line: Line) -> None:
    run_id, schedule_id = a_run(line, 25)
    mail = a_mail(line.db, "bo@example.org", "ann@example.org")
    ids = [DispatchId(doc["_id"]) for doc in line.db.dispatches.find().sort("_id", 1)]

    about = describe(line.db, [*ids, DispatchId("none")])

    assert set(about) == set(ids)
    of_mail = next(one for one in about.values() if one.email_id)
    assert (of_mail.email_id, of_mail.subject, of_mail.schedule_name) == (mail, "Your password", "")
    assert ({*of_mail.recipients}, of_mail.recipients_count) == ({"bo@example.org", "ann@example.org"}, 2)
    campaign = [one for one in about.values() if one.run_id == run_id]
    assert sorted(one.recipients_count for one in campaign) == [5, 10, 10]
    assert {(one.schedule_id, one.schedule_name, one.subject) for one in campaign} == {
        (schedule_id, "Weekday digest", "Hello {{ name }}")
    }
    for one in campaign:
        theirs = {m["address"] for m in line.db.messages.find({"dispatch_id": one.dispatch_id})}
        assert len(one.recipients) == 3
        assert {*one.recipients} < theirs


def test_describing_a_page_asks_four_questions_and_looks_at_three_mails_of_each_dispatch(line: Line) -> None:
    a_run(line, 1_000, batch=100)
    a_mail(line.db, "bo@example.org")
    ids = [DispatchId(doc["_id"]) for doc in line.db.dispatches.find({}, {"_id": 1})]

    work = work_of(line.db, lambda asked: describe(asked, ids))

    assert not work.walks_a_collection
    assert work.questions == 4
    assert work.documents < 8 * len(ids)


def test_single_mails_are_counted_as_far_as_that_is_cheap(db: Db) -> None:
    a_mail(db, "bo@example.org", tags=["reset"])
    a_mail(db, "bo@example.org")

    def counted(**search: Any) -> str:
        return str(mail_counts.count(db, EmailSearch(**search)))

    assert (counted(), counted(tag="reset"), counted(recipient="BO@example.org")) == ("2", "1", "2")
    assert counted(recipient="bo@example.org", tag="reset") == "1"
    assert counted(since=NOW, recipient="ann@example.org") == "0"
    (model, _) = db.emails.find()
    db.emails.insert_many({**model, "_id": f"em_{n}"} for n in range(10_000))
    assert (counted(), counted(recipient="bo@example.org", tag="x")) == ("10,000+", "10,000+")
