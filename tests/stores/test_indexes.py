"""Every hot query finds its index: asked of MongoDB's own planner, over stored documents."""

from datetime import timedelta
from typing import Any

import pytest
from pymongo.monitoring import CommandListener

from mailroom.domain.dispatches import DispatchState
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import ClaimId, EmailId, Lane, MessageId, RunId, ScheduleId
from mailroom.domain.messages import MessageState
from mailroom.domain.searches import EmailSearch
from mailroom.services import planning
from mailroom.storage import (
    audiences,
    controls,
    dispatch_claims,
    dispatch_doubts,
    dispatch_outcomes,
    dispatches,
    emails,
    events,
    lanes,
    message_counts,
    messages,
    runs,
    schedules,
    unreached,
)
from mailroom.storage.database import Db, server_now, snapshot
from tests.stores.test_scheduling import expand_all, hold
from tests.support.builders import a_claimed, make_due, recipients, stored_schedule

ASKED = {
    "the list of audiences": lambda db, now: audiences.page(db, before=(now, "aud_1"), limit=10),
    "an audience that was asked for": lambda db, now: audiences.of_request(db, "owner/key"),
    "due schedules": lambda db, now: schedules.due(db, now=now, limit=10),
    "the list of schedules": lambda db, now: schedules.page(db, state=None, before=None, limit=10),
    "who was not reached": lambda db, now: unreached.left(db, RunId("r"), after="", limit=10),
    "runs in planning": lambda db, now: runs.schedules_in_planning(db, limit=10),
    "planned runs": lambda db, now: runs.planned_after(db, RunId(""), limit=10),
    "a schedule's runs": lambda db, now: runs.page(db, schedule_id=ScheduleId("s"), before=None, limit=10),
    "lanes with work": lambda db, now: dispatch_claims.lanes_with_work(db, now=now, limit=10, leave_out=[]),
    "what can be claimed": lambda db, now: dispatch_claims.claimable(db, [Lane("schedule/s")], now=now, limit=10),
    "what is urgent": lambda db, now: dispatch_claims.claimable(
        db, [Lane("mail/1")], now=now, limit=10, down_to=Rank.HIGH
    ),
    "single mails": lambda db, now: emails.page(db, EmailSearch(), before=None, limit=10),
    "single mails to somebody": lambda db, now: emails.page(
        db, EmailSearch(recipient="bo@example.org", since=now), before=(now, "em_1"), limit=10
    ),
    "single mails with a tag": lambda db, now: emails.page(db, EmailSearch(tag="reset"), before=None, limit=10),
    "single mails with a recipient in a state": lambda db, now: messages.of_single_mails(
        db, MessageState.FAILED, before=(now, "em_1/m"), limit=10
    ),
    "a single mail's recipients": lambda db, now: messages.of_emails(db, [EmailId("em_1")]),
    "what a claim got": lambda db, now: dispatch_claims.claimed(db, {ClaimId("c"): a_claimed().claim}),
    "what is in sending": lambda db, now: dispatch_claims.in_sending(db, [Lane("schedule/s")], leave_out=[], limit=10),
    "what is in doubt": lambda db, now: dispatches.page(
        db, state=DispatchState.IN_DOUBT, run_id=None, after="", limit=10
    ),
    "what is unknown": lambda db, now: dispatches.page(
        db, state=DispatchState.UNKNOWN, run_id=None, after="", limit=10
    ),
    "what is to be asked about": lambda db, now: dispatch_doubts.to_ask(db, [Lane("l")], now=now, limit=10),
    "what goes alone": lambda db, now: dispatch_claims.claimable_alone(db, [Lane("l")], now=now),
    "a control": lambda db, now: controls.first_since(db, "mg.example.com", now),
    "a mail's events": lambda db, now: events.of_message(db, MessageId("r/m")),
    "a run's dispatches": lambda db, now: dispatches.page(db, state=None, run_id=RunId("r"), after="", limit=10),
    "runs with open dispatches": lambda db, now: dispatches.runs_with_open(db, [RunId("r")]),
    "what is to be told": lambda db, now: dispatch_outcomes.to_tell(db, limit=10),
    "waiting lanes": lambda db, now: lanes.waiting(db, now=now),
    "a dispatch's mails": lambda db, now: messages.of_dispatches(db, []),
    "a report": lambda db, now: _report(db),
}


def _report(db: Db) -> None:
    with snapshot(db) as session:
        message_counts.report(db, [RunId("r")], session)


class Listener(CommandListener):
    """Keeps the finds and aggregations that go over the wire."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: Any) -> None:
        if event.command_name in ("find", "aggregate"):
            self.commands.append({k: v for k, v in event.command.items() if not k.startswith(("$", "lsid", "txn"))})

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


@pytest.mark.parametrize("asked", ASKED)
def test_the_query_for(asked: str, db: Db) -> None:
    schedule = stored_schedule(db, recipients=recipients(50))
    make_due(db, schedule, since=timedelta(minutes=61))
    held = hold(db, schedule.id)
    planning.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)
    listener = Listener()
    heard = db.client.__class__(
        host=[f"{h}:{p}" for h, p in db.client.nodes], event_listeners=[listener], directConnection=True, tz_aware=True
    )[db.name]

    ASKED[asked](heard, server_now(db))

    assert listener.commands
    for command in listener.commands:
        command.pop("readConcern", None)
        plan = str(db.command("explain", command, verbosity="queryPlanner"))
        assert "COLLSCAN" not in plan, f"{asked} walks the whole collection"
