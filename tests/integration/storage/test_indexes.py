"""Every hot query finds its index: asked of MongoDB's own planner, over stored documents."""

from datetime import timedelta
from typing import Any

import pytest

from mailroom.domain.audience_versions import AudienceVersion
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import AudienceId, ClaimId, DispatchId, EmailId, Lane, MessageId, RunId, ScheduleId
from mailroom.domain.messages.states import MessageState
from mailroom.domain.searches import EmailOrder, EmailSearch
from mailroom.domain.templates import TemplateKind
from mailroom.services.planning import plan as planning_plan
from mailroom.storage import controls, events, holds, lanes, served_requests
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import members, segments, versions
from mailroom.storage.body_files.gridfs_home import GridFsHome
from mailroom.storage.body_files.homes import BodyFiles
from mailroom.storage.body_files.s3_bucket import S3Bucket
from mailroom.storage.body_files.s3_home import S3Home
from mailroom.storage.database import Db, server_now, snapshot
from mailroom.storage.dispatches import any_work, propagation
from mailroom.storage.dispatches import claims as dispatch_claims
from mailroom.storage.dispatches import counts as dispatch_counts
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.dispatches import elsewhere as dispatch_elsewhere
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.mails import bodies, emails, template_versions, templates
from mailroom.storage.messages import counts as message_counts
from mailroom.storage.messages import document as messages
from mailroom.storage.messages import unreached
from mailroom.storage.schedules import (
    awaited_feeds,
    contents,
    due_schedules,
    open_runs,
    run_feeds,
    run_lists,
    run_planning,
    runs,
    schedules,
    template_users,
)
from mailroom.storage.schedules.open_runs import RunPlace
from mailroom.storage.served_requests import EntryPlace
from tests.support.builders import a_claimed, make_due, recipients, stored_schedule
from tests.support.explaining import listened_to, work_of
from tests.support.planned import expand_all, hold

UNUSED = S3Bucket("b", endpoint="", region="us-east-1", access_key="", secret_key="")
AUDIENCE = AudienceId("aud_1")
ASKED = {
    "the list of audiences": lambda db, now: audiences.page(db, before=(now, "aud_1"), limit=10),
    "an audience that was asked for": lambda db, now: audiences.of_request(db, "owner/key"),
    "contacts as of a version": lambda db, now: members.after(db, AudienceVersion(AUDIENCE, now), "k", 10),
    "contacts as they are": lambda db, now: members.contacts_after(db, AUDIENCE, "k", 10),
    "which of these are in an audience": lambda db, now: members.among(db, AudienceVersion(AUDIENCE, now), ["a", "b"]),
    "contacts' earlier data": lambda db, now: versions.forget_old(db, now=now),
    "an audience's segments": lambda db, now: segments.page(db, AUDIENCE, after="", limit=10),
    "segments of audiences": lambda db, now: segments.of_all(db, [AUDIENCE, AudienceId("aud_2")], limit=10),
    "the latest runs to an audience": lambda db, now: run_lists.latest_to(db, AUDIENCE, before=now, limit=3),
    "due schedules": lambda db, now: due_schedules.due(db, now=now, limit=10),
    "the list of schedules": lambda db, now: schedules.page(db, state=None, before=None, limit=10),
    "who was not reached": lambda db, now: unreached.left(db, RunId("r"), after="", limit=10),
    "runs in planning": lambda db, now: run_planning.schedules_in_planning(db, limit=10),
    "runs that wait for their feeds": lambda db, now: awaited_feeds.awaiting_feeds(
        db, [ScheduleId("s")], now=now, limit=10
    ),
    "schedules that wait for feeds": lambda db, now: awaited_feeds.schedules_awaiting_feeds(
        db, now=now, limit=10, but=["r"]
    ),
    "what earlier runs took of a feed": lambda db, now: run_feeds.newest_of(db, ScheduleId("s"), before=now, limit=10),
    "the feeds of runs": lambda db, now: run_feeds.get_many(db, [RunId("r")]),
    "the feeds of contents": lambda db, now: contents.feeds_of(db, [(ScheduleId("s"), 1)]),
    "whether something of a run was accepted": lambda db, now: dispatch_queries.any_accepted(db, RunId("r")),
    "planned runs": lambda db, now: open_runs.planned(db, limit=10),
    "planned runs, later pages": lambda db, now: open_runs.planned(db, before=RunPlace(now, RunId("x")), limit=10),
    "a schedule's runs": lambda db, now: runs.page(db, schedule_id=ScheduleId("s"), before=None, limit=10),
    "whether there is any work": lambda db, now: any_work.is_there_any(db, now=now, due_by=now, leave_out=[]),
    "lanes with work": lambda db, now: dispatch_claims.lanes_with_work(db, now=now, limit=10, leave_out=[]),
    "what can be claimed": lambda db, now: dispatch_claims.claimable(db, [Lane("schedule/s")], now=now, limit=10),
    "what has become due": lambda db, now: dispatch_claims.newly_due(
        db, [Lane("mail/0"), Lane("schedule/s")], due_since=now, now=now, limit=10
    ),
    "what urgent has become due": lambda db, now: dispatch_claims.newly_due(
        db, [Lane("mail/0")], due_since=now, now=now, limit=10, more_urgent_than=Rank.NORMAL
    ),
    "the first places of all that is due": lambda db, now: dispatch_claims.queue(
        db, [Lane("schedule/s")], now=now, limit=10
    ),
    "which noted dispatches can still be claimed": lambda db, now: dispatch_claims.claimable_among(
        db, [DispatchId("r-d0")], [Lane("schedule/s")], now=now
    ),
    "what can be claimed beside a paused run": lambda db, now: dispatch_claims.claimable_of_runs(
        db, [RunId("r")], now=now, limit=10
    ),
    "lanes of runs beside a paused one": lambda db, now: dispatch_claims.lanes_of_waiting_runs(
        db, [RunId("r")], now=now, limit=10
    ),
    "lanes with something to settle": lambda db, now: dispatch_claims.lanes_to_reconcile(db, now=now, limit=10),
    "what is held": lambda db, now: holds.standing(db),
    "what is held, and the switch": lambda db, now: holds.switch_and_standing(db),
    "which of these are held": lambda db, now: holds.held_among(db, ["everything", "r"]),
    "a schedule's open runs": lambda db, now: open_runs.open_of(db, [ScheduleId("s")]),
    "how the mails of a run stand": lambda db, now: dispatch_counts.mails_by_state(db, [RunId("r")]),
    "what is in hand anywhere": lambda db, now: dispatch_counts.in_hand_anywhere(db, limit=10),
    "what is urgent": lambda db, now: dispatch_claims.claimable(
        db, [Lane("mail/1")], now=now, limit=10, down_to=Rank.HIGH
    ),
    "single mails": lambda db, now: emails.page(db, EmailSearch(), before=None, limit=10),
    "single mails to somebody": lambda db, now: emails.page(
        db, EmailSearch(recipient="bo@example.org", since=now), before=(now, "em_1"), limit=10
    ),
    "single mails to somebody, oldest first": lambda db, now: emails.page(
        db, EmailSearch(recipient="bo@example.org"), EmailOrder.OLDEST, before=(now, "em_1"), limit=10
    ),
    "single mails with a tag": lambda db, now: emails.page(db, EmailSearch(tag="reset"), before=None, limit=10),
    "single mails with a recipient in a state": lambda db, now: messages.of_single_mails(
        db, MessageState.FAILED, before=(now, "em_1/m"), limit=10
    ),
    "a single mail's recipients": lambda db, now: messages.of_emails(db, [EmailId("em_1")]),
    "what a claim got": lambda db, now: dispatch_claims.claimed(db, {ClaimId("c"): a_claimed().claim}),
    "what is in sending": lambda db, now: dispatch_claims.in_sending(db, [Lane("schedule/s")], leave_out=[], limit=10),
    "what is in doubt": lambda db, now: dispatch_queries.page(
        db, state=DispatchState.IN_DOUBT, run_id=None, after="", limit=10
    ),
    "what is unknown": lambda db, now: dispatch_queries.page(
        db, state=DispatchState.UNKNOWN, run_id=None, after="", limit=10
    ),
    "what is to be asked about": lambda db, now: dispatch_doubts.to_ask(db, [Lane("l")], now=now, limit=10),
    "what may go elsewhere": lambda db, now: dispatch_elsewhere.to_move(
        db, [Lane("mail/0"), Lane("mail/1")], marked_before=now, limit=10
    ),
    "what went elsewhere": lambda db, _: dispatch_elsewhere.firsts(db, after="", limit=10),
    "what went out elsewhere": lambda db, _: dispatch_elsewhere.accepted_of(db, [DispatchId("d")]),
    "whom a first call was for": lambda db, _: messages.addresses_of_first(db, [DispatchId("d")]),
    "what goes alone": lambda db, now: dispatch_claims.claimable_alone(db, [Lane("l")], now=now),
    "the messages beside one": lambda db, now: messages.beside(db, MessageId("r/m")),
    "the contacts before one": lambda db, now: members.before(
        db, AudienceVersion(AudienceId("aud_1"), now), "bo@example.org", 10
    ),
    "a control": lambda db, now: controls.first_since(db, "mg.example.com", now),
    "a mail's events": lambda db, now: events.of_message(db, MessageId("r/m")),
    "a run's dispatches": lambda db, now: dispatch_queries.page(db, state=None, run_id=RunId("r"), after="", limit=10),
    "the dispatches of single mails": lambda db, now: dispatch_queries.of_emails(db, [EmailId("a"), EmailId("b")]),
    "the dispatches of one single mail": lambda db, now: dispatch_queries.of_email(db, EmailId("a")),
    "a single mail's headers": lambda db, now: bodies.headers_of(db, EmailId("a")),
    "what a single mail says": lambda db, now: bodies.shown(db, BodyFiles(db), EmailId("a"), most=10),
    "files in GridFS that may be removed": lambda db, now: GridFsHome(db).due(now=now, limit=10),
    "files in S3 that may be removed": lambda db, now: S3Home(db, UNUSED).due(now=now, limit=10),
    "how a run's dispatches stand": lambda db, now: dispatch_queries.count_by_state(db, RunId("r")),
    "the slices of a run": lambda db, now: dispatch_queries.slices_of(db, RunId("r")),
    "whose time had passed": lambda db, now: message_counts.time_passed(db, RunId("r")),
    "the time zones of audiences": lambda db, now: audiences.zones_of(db, [AudienceId("a")]),
    "how many contacts have each time zone": lambda db, now: members.count_zones(db, AudienceId("a")),
    "when one of some schedules is due next": lambda db, now: due_schedules.next_due_among(
        db, [ScheduleId("s")], after=now, until=now
    ),
    "runs with open dispatches": lambda db, now: dispatch_queries.runs_with_open(db, [RunId("r")]),
    "what is to be told": lambda db, now: propagation.pending_propagation(db, limit=10),
    "waiting lanes": lambda db, now: lanes.waiting(db, now=now),
    "a dispatch's mails": lambda db, now: messages.of_dispatches(db, []),
    "a report": lambda db, now: _report(db),
    "how many schedules there are": lambda db, now: schedules.count_by_state(db),
    "how many dispatches are open": lambda db, now: dispatch_queries.count_open(db),
    "the queue": lambda db, now: dispatch_counts.due_by_rank(db, now=now, barred=[]),
    "a template's versions": lambda db, now: template_versions.page(db, "t", before=9, limit=10),
    "a template's newest version": lambda db, now: template_versions.newest(db, "t"),
    "templates with such a name": lambda db, now: templates.page_named(db, "t", after="", limit=10),
    "the names of layouts": lambda db, now: templates.names(db, TemplateKind.LAYOUT, limit=10),
    "what is made with a layout": lambda db, now: templates.made_with(db, "t", limit=10),
    "how many are made with a layout": lambda db, now: templates.count_made_with(db, "t"),
    "templates without words of their names": lambda db, now: templates.fill_in_words(db),
    "who uses a template": lambda db, now: template_users.count_users(db, ["t"]),
    "a token's requests": lambda db, now: served_requests.page(db, "t", before=EntryPlace("b", 1), limit=10),
}


def _report(db: Db) -> None:
    with snapshot(db) as session:
        message_counts.report(db, [RunId("r")], session)


@pytest.mark.parametrize("asked", ASKED)
def test_no_frequent_query_walks_a_whole_collection(asked: str, db: Db) -> None:
    schedule = stored_schedule(db, recipients=recipients(50))
    make_due(db, schedule, since=timedelta(minutes=61))
    held = hold(db, schedule.id)
    planning_plan.plan_due(db, held, mark=0, now=server_now(db))
    expand_all(db, held)
    questions, heard = listened_to(db)

    ASKED[asked](heard, server_now(db))

    assert questions.asked
    for command in questions.asked:
        command.pop("readConcern", None)
        plan = str(db.command("explain", command, verbosity="queryPlanner"))
        assert "COLLSCAN" not in plan, f"{asked} walks the whole collection"


def test_what_waits_of_a_paused_run_is_passed_over_in_the_index(db: Db) -> None:
    """Nothing that is asked for beside it, or of its lane, looks at its thousand dispatches."""
    now = server_now(db)
    some = {"lane": "schedule/s", "rank": 2, "not_before": now, "attempt": 0, "tries": 0}
    some |= {"revision": 1, "messages": 1, "digest": "d"}
    paused = [{"_id": f"paused-d{n:05d}", "run_id": "paused", "state": "pending", **some} for n in range(1_000)]
    going = [{"_id": f"going-d{n:05d}", "run_id": "going", "state": "pending", **some} for n in range(3)]
    db.dispatches.insert_many([*paused, *going, {"_id": "x", "run_id": "paused", "state": "in_doubt", **some}])

    looked_at: dict[str, int] = {}
    for name, ask in {
        "claim": lambda db: dispatch_claims.claimable_of_runs(db, [RunId("going")], now=now, limit=10),
        "look": lambda db: dispatch_claims.lanes_of_waiting_runs(db, [RunId("going")], now=now, limit=10),
        "settle": lambda db: dispatch_claims.lanes_to_reconcile(db, now=now, limit=10),
    }.items():
        questions, heard = listened_to(db)
        assert ask(heard)
        for command in questions.asked:
            command.pop("readConcern", None)
            stats = db.command("explain", command, verbosity="executionStats")
            looked_at[name] = max(looked_at.get(name, 0), examined(stats))

    assert max(looked_at.values()) <= 10, looked_at


def test_the_queue_is_counted_in_the_index_alone_and_up_to_a_bound(db: Db) -> None:
    now = server_now(db)
    some = {"state": "pending", "not_before": now - timedelta(minutes=1), "run_id": "r"}
    later = {**some, "not_before": now + timedelta(hours=1)}
    db.dispatches.insert_many(
        [{"_id": f"a{n}", "lane": f"schedule/s{n % 7}", "rank": 3, **some} for n in range(500)]
        + [{"_id": f"b{n}", "lane": "mail/1", "rank": 0, **some} for n in range(20)]
        + [{"_id": f"c{n}", "lane": "mail/1", "rank": 1, **later} for n in range(50)]
        + [{"_id": f"d{n}", "lane": "mail/2", "state": "accepted"} for n in range(50)]
    )

    counted = dispatch_counts.due_by_rank(db, now=now, barred=[Lane("schedule/s0"), Lane("schedule/s1")])
    work = work_of(db, lambda db: dispatch_counts.due_by_rank(db, now=now, barred=[]))
    bounded = work_of(db, lambda db: dispatch_counts.due_by_rank(db, now=now, barred=[], most=100))

    high, campaigns = counted[Rank.HIGH], counted[Rank.CAMPAIGN]
    assert (high.dispatches, high.free, high.lanes) == (20, 20, 1)
    assert (campaigns.dispatches, campaigns.free, campaigns.lanes) == (500, 356, 5)
    assert high.oldest == some["not_before"]
    assert Rank.NORMAL not in counted
    assert (work.documents, work.walks_a_collection, work.sorts) == (0, False, False)
    assert work.keys < 620
    assert bounded.keys < 120


def examined(stats: Any) -> int:
    """How many keys of an index were looked at, at most in one stage."""
    if isinstance(stats, dict):
        own = stats.get("totalKeysExamined", 0)
        return max([own, *(examined(value) for value in stats.values())])
    return max(map(examined, stats), default=0) if isinstance(stats, list) else 0
