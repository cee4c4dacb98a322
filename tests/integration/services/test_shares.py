"""Domains with shares of their own: a campaign's batch is a dispatch for each, and planned again it is cut the same."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.ids import ClaimId, ScheduleId, Token
from mailroom.domain.shares import Shares
from mailroom.services.planning import plan
from mailroom.storage.cluster import restored_fences
from mailroom.storage.cluster.restore_mark import Healthy
from mailroom.storage.database import Db, server_now
from tests.support.builders import make_due, recipients, stored_schedule
from tests.support.planned import hold

HOUR = timedelta(hours=1)
GMAIL = Shares({}, {"gmail.com": {"ses": 1}})
GMAIL_AND_MORE = Shares({}, {"gmail.com": {"ses": 1}, "example.net": {"ses": 1}})


class Campaign:
    """A run of 12 recipients, 4 at gmail.com and 3 at example.net, planned in batches of 6."""

    def __init__(self, db: Db) -> None:
        people = recipients(12)
        for number, person in enumerate(people):
            domain = "gmail.com" if number % 3 == 0 else "example.net" if number % 4 == 1 else "example.org"
            person["address"] = f"reader-{number}@{domain}"
        schedule = stored_schedule(db, recipients=people)
        make_due(db, schedule, since=1.01 * HOUR)
        self.db, self.schedule = db, schedule.id
        plan.plan_due(db, self.held(1), mark=0, now=server_now(db))
        self.unplanned = list(db.runs.find())

    def held(self, token: int) -> dict[ScheduleId, Token]:
        return hold(self.db, self.schedule, token=token)

    def expand(self, shares: Shares, *, token: int = 1, remembers: bool = False) -> dict[str, dict[str, Any]]:
        held, now = self.held(token), server_now(self.db)
        while plan.expand(self.db, held, batch_size=6, now=now, shares=shares, seen=Healthy(remembers=remembers)).moved:
            pass
        return {doc["_id"]: doc for doc in self.db.dispatches.find()}

    def forget(self, *, called: dict[str, dict[str, Any]]) -> None:
        """What a copy from before the planning knows, and what the fences know."""
        for id_, doc in called.items():
            crossed = Fence(FenceState.CROSSED, attempt=1, claim_id=ClaimId("c"), span=doc["span"])
            restored_fences.keep(self.db, [(id_, crossed)], now=server_now(self.db), kept_for=timedelta(days=1))
        self.db.messages.delete_many({})
        self.db.dispatches.delete_many({})
        self.db.runs.delete_many({})
        self.db.runs.insert_many(self.unplanned)


@pytest.fixture
def campaign(db: Db) -> Iterator[Campaign]:
    return Campaign(db)


def domains_of(campaign: Campaign, dispatch: str) -> set[str]:
    mails = campaign.db.messages.find({"dispatch_id": dispatch})
    return {mail["address"].rpartition("@")[2] for mail in mails}


def test_a_batch_is_one_dispatch_for_each_domain_with_shares_and_one_for_all_others(campaign: Campaign) -> None:
    made = campaign.expand(GMAIL)

    assert sum(doc["messages"] for doc in made.values()) == 12
    assert len(made) == 4
    for id_, doc in made.items():
        of_gmail = domains_of(campaign, id_) == {"gmail.com"}
        assert doc.get("domain", "") == ("gmail.com" if of_gmail else "")
        assert of_gmail or "gmail.com" not in domains_of(campaign, id_)


def test_without_shares_by_domain_a_batch_is_whole(campaign: Campaign) -> None:
    made = campaign.expand(Shares({"mailgun": 1, "ses": 1}))

    assert sorted(doc["messages"] for doc in made.values()) == [6, 6]


def test_planned_again_after_a_restore_it_is_cut_the_same_and_nothing_is_held(campaign: Campaign) -> None:
    before = campaign.expand(GMAIL_AND_MORE)
    campaign.forget(called=before)

    again = campaign.expand(GMAIL_AND_MORE, token=2, remembers=True)

    assert {(id_, doc["digest"]) for id_, doc in again.items()} == {(id_, doc["digest"]) for id_, doc in before.items()}
    assert {doc["state"] for doc in again.values()} == {"pending"}


@pytest.mark.parametrize(("before", "after"), [(GMAIL, GMAIL_AND_MORE), (GMAIL_AND_MORE, GMAIL), (GMAIL, Shares())])
def test_planned_again_by_other_domains_nothing_goes_out_on_a_guess(
    campaign: Campaign, before: Shares, after: Shares
) -> None:
    """What was called may have reached anybody. A dispatch of the same name meets its fence."""
    called = campaign.expand(before)
    campaign.forget(called=called)

    again = campaign.expand(after, token=2, remembers=True)

    assert {doc["state"] for doc in again.values()} == {"unknown"}
