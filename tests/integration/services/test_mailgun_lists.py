"""Mailgun's own lists, at the simulator: taken over page by page, and pushed to by the thousand."""

from collections.abc import Sequence
from typing import Any

import pytest
import requests

from mailroom.assembly.providers import build_mailgun_lists
from mailroom.domain.errors import InvalidInput, Unavailable
from mailroom.domain.suppressions import Entry
from mailroom.providers.mailgun.suppression_lists import MailgunList, MailgunLists
from mailroom.services.feedback import mailgun_lists, mailgun_push
from mailroom.services.feedback import suppressions as suppression_lists
from mailroom.services.feedback.mailgun_lists import TakenOver
from mailroom.storage import suppressions
from mailroom.storage.database import Db, server_now
from tests.support.system import DOMAIN, System
from tests.support.topics import a_topic

KEY = ("api", "key-for-tests")


class Lists:
    """The simulator's lists, as Mailgun's owner fills and reads them."""

    def __init__(self, system: System) -> None:
        self._root = f"{system.simulator.url}/v3/{DOMAIN}"

    def fill(self, of: str, records: Sequence[dict[str, Any]]) -> None:
        for at in range(0, len(records), 1_000):
            answer = requests.post(f"{self._root}/{of}", json=list(records[at : at + 1_000]), auth=KEY, timeout=30)
            answer.raise_for_status()

    def addresses(self, of: str) -> list[str]:
        found: list[str] = []
        query: dict[str, Any] = {"limit": 1_000}
        while items := requests.get(f"{self._root}/{of}", params=query, auth=KEY, timeout=30).json()["items"]:
            found += [item["address"] for item in items]
            query |= {"page": "next", "address": found[-1]}
        return found


@pytest.fixture
def lists(system: System) -> Lists:
    system.start_simulator()
    return Lists(system)


@pytest.fixture
def mailgun(system: System, lists: Lists) -> MailgunLists:
    made = build_mailgun_lists(system.settings)
    assert made
    return made


def take_all_over(db: Db, mailgun: MailgunLists, cursor: str | None = None) -> list[TakenOver]:
    done = [mailgun_lists.take_over(db, mailgun, cursor=cursor, by="Ann")]
    while done[-1].next_cursor:
        done.append(mailgun_lists.take_over(db, mailgun, cursor=done[-1].next_cursor, by="Ann"))
    return done


def total(done: Sequence[TakenOver]) -> tuple[int, int, int]:
    return sum(d.added for d in done), sum(d.unchanged for d in done), sum(d.left_out for d in done)


def scopes(db: Db, address: str) -> dict[str, str]:
    stored = suppressions.get(db, address)
    return {entry.scope: entry.reason for entry in stored.entries} if stored else {}


def test_all_three_lists_are_taken_over_over_many_pages_and_once(db: Db, lists: Lists, mailgun: MailgunLists) -> None:
    a_topic(db, "newsletter")
    lists.fill("bounces", [{"address": f"b{n:05}@example.org", "error": "5.1.1 no such user"} for n in range(2_500)])
    lists.fill("bounces", [{"address": "spam@example.org", "error": "5.7.1 blocked as spam"}])
    lists.fill("complaints", [{"address": "c@example.org", "created_at": "Fri, 21 Nov 2025 11:02:55 UTC"}])
    lists.fill(
        "unsubscribes", [{"address": "u@example.org"}, {"address": "t@example.org", "tags": ["newsletter", "x"]}]
    )

    done = take_all_over(db, mailgun)
    again = take_all_over(db, mailgun)

    assert total(done) == (2_503, 0, 1)
    assert total(again) == (0, 2_503, 1)
    assert scopes(db, "b02499@example.org") == {"all": "bounced"}
    assert scopes(db, "c@example.org") == {"campaigns": "complained"}
    assert scopes(db, "u@example.org") == {"campaigns": "unsubscribed"}
    assert scopes(db, "t@example.org") == {"newsletter": "unsubscribed"}
    assert scopes(db, "spam@example.org") == {}
    since = suppressions.get(db, "c@example.org")
    assert since
    assert since.since.isoformat() == "2025-11-21T11:02:55+00:00"
    assert sorted(doc["address"][0] for doc in db.consents.find()) == ["c", "t", "u"]


def test_a_take_over_that_was_cut_off_goes_on_at_its_page(
    db: Db, system: System, lists: Lists, mailgun: MailgunLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailroom.services.feedback.mailgun_lists._MOST_PAGES", 1)
    lists.fill("bounces", [{"address": f"b{n:05}@example.org"} for n in range(2_500)])
    first = mailgun_lists.take_over(db, mailgun, cursor=None, by="Ann")
    system.simulator.turn(suppressions_status=503)
    with pytest.raises(Unavailable):
        mailgun_lists.take_over(db, mailgun, cursor=first.next_cursor, by="Ann")

    system.simulator.turn(suppressions_status=200)
    rest = take_all_over(db, mailgun, first.next_cursor)

    assert first.added == 1_000
    assert total(rest) == (1_500, 0, 0)


def test_who_came_back_since_is_not_unsubscribed_by_an_older_record(
    db: Db, lists: Lists, mailgun: MailgunLists
) -> None:
    record = {"address": "u@example.org", "created_at": "Fri, 21 Nov 2025 11:02:55 UTC"}
    lists.fill("unsubscribes", [record])
    take_all_over(db, mailgun)
    with db.client.start_session() as session:
        suppressions.take_back(db, [("u@example.org", server_now(db))], session=session)

    again = take_all_over(db, mailgun)

    assert scopes(db, "u@example.org") == {}
    assert total(again)[0] == 0
    assert db.consents.count_documents({}) == 1


def test_a_cursor_of_ones_own_is_refused(db: Db, mailgun: MailgunLists) -> None:
    with pytest.raises(InvalidInput):
        mailgun_lists.take_over(db, mailgun, cursor="whitelists:a@example.org", by="Ann")


def test_a_wrong_key_is_told(db: Db, system: System, lists: Lists) -> None:
    wrong = MailgunLists(base_url=system.simulator.url, domain=DOMAIN, api_key="a sending key")

    with pytest.raises(Unavailable, match="account key"):
        mailgun_lists.take_over(db, wrong, cursor=None, by="Ann")


def test_what_is_stored_is_pushed_first_and_then_what_is_added(db: Db, lists: Lists, mailgun: MailgunLists) -> None:
    rows = "address,reason\n" + "\n".join(f"b{n:05}@example.org,bounced" for n in range(2_300))
    suppression_lists.add_file(db, rows, by="Ann")
    db.suppressions.update_many({}, {"$unset": {"unpushed": ""}})  # as an earlier version has left them
    suppression_lists.add(db, {"address": "m@example.org", "scope": "all"}, by="Ann")
    suppression_lists.add(db, {"address": "c@example.org", "reason": "complained"}, by="Ann")

    pushed = mailgun_push.push(db, mailgun, "all")

    assert pushed >= 2_302
    assert len(lists.addresses("bounces")) == 2_300
    assert lists.addresses("unsubscribes") == ["m@example.org"]
    assert lists.addresses("complaints") == []
    assert db.suppressions.count_documents({"unpushed": {"$exists": True}}) == 0

    suppressions.add_bounced(db, ["late@example.org"], at=server_now(db))
    db.cluster.update_many({"_id": {"$regex": "^mailgun_push/"}}, {"$unset": {"next_at": ""}})
    assert mailgun_push.push(db, mailgun, "all") == 1
    assert "late@example.org" in lists.addresses("bounces")


def test_one_process_at_a_time_pushes_and_a_fault_is_tried_again(
    db: Db, system: System, lists: Lists, mailgun: MailgunLists
) -> None:
    suppressions.add_bounced(db, ["a@example.org"], at=server_now(db))
    system.simulator.turn(suppressions_status=503)
    with pytest.raises(Unavailable):
        mailgun_push.push(db, mailgun, "all")

    while_held = mailgun_push.push(db, mailgun, "all")
    system.simulator.turn(suppressions_status=200)
    db.cluster.update_many({"_id": {"$regex": "^mailgun_push/"}}, [{"$set": {"next_at": "$$NOW"}}])
    mailgun_push.push(db, mailgun, "all")

    assert while_held == 0
    assert lists.addresses("bounces") == ["a@example.org"]


def test_a_record_that_mailgun_refuses_is_left_out_and_holds_up_no_other(
    db: Db, lists: Lists, mailgun: MailgunLists
) -> None:
    now = server_now(db)
    entry = Entry("all", "bounced", now)
    suppressions.add(db, [(key, entry) for key in ("a@example.org", "no address", "z@example.org")])

    mailgun_push.push(db, mailgun, "all")

    assert lists.addresses("bounces") == ["a@example.org", "z@example.org"]


def test_a_list_that_does_not_go_on_is_an_error_and_no_endless_loop(
    db: Db, lists: Lists, mailgun: MailgunLists, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists.fill("bounces", [{"address": "a@example.org"}])
    monkeypatch.setattr(MailgunLists, "_ask", lambda *_, **__: {"items": [{"address": "a@example.org"}]})

    with pytest.raises(Unavailable, match="does not go on"):
        mailgun.page(MailgunList.BOUNCES, after="a@example.org")
