"""Runs, the mails of a person, and the calls that failed, at the terminal."""

import re

from mailroom.domain.ids import RunId
from mailroom.services.planning import asked_runs
from mailroom.services.reports import runs as run_views
from tests.support.builders import stored_schedule
from tests.support.caller import Caller
from tests.support.dead_letters import failed_dispatches
from tests.support.doubts import DISPATCH, a_doubt, the_state
from tests.support.finished_runs import a_finished_run, planned, sent_by_smtp, unreached
from tests.support.lines import Line, a_run
from tests.support.system import System, wait_for
from tests.support.terminal import Terminal, faults


def test_runs_and_their_mails_are_shown_as_the_api_shows_them(mailroom: Terminal, system: System, call: Caller) -> None:
    run = a_finished_run(system.db, 10, failed=2)
    failed = mailroom("runs", "messages", run.id, "--status", "failed", "--json").json
    message = failed["items"][0]["id"]

    assert mailroom("runs", "list", "--json", "--total").json == call("GET", "/v1/runs?total=true").json
    assert mailroom("runs", "show", run.id, "--json").json == call("GET", f"/v1/runs/{run.id}").json
    assert mailroom("runs", "report", run.id, "--json").json == call("GET", f"/v1/runs/{run.id}/report").json
    assert failed == call("GET", f"/v1/runs/{run.id}/messages?status=failed").json
    story = mailroom("messages", "show", message, "--json").json
    assert story == call("GET", f"/v1/runs/{run.id}/messages/{message.partition('/')[2]}").json
    assert mailroom("runs", "unreached", run.id, "--json").json == call("GET", f"/v1/runs/{run.id}/unreached").json
    person = mailroom("messages", "list", "reader-1@example.org", "--json")
    assert person.json == call("GET", "/v1/messages?recipient=reader-1@example.org").json


def test_a_report_says_where_bounces_are_not_measured(mailroom: Terminal, system: System, call: Caller) -> None:
    run = a_finished_run(system.db, 3)
    sent_by_smtp(system.db, run, bounces_read=False)

    of_run = mailroom("runs", "report", run.id)
    of_schedule = mailroom("schedules", "report", run.schedule_id)
    in_json = call("GET", f"/v1/runs/{run.id}/report").json

    assert re.search(r"^\s*bounced\s+not measured\s*$", of_run.out, re.MULTILINE)
    assert of_schedule.out.count("not measured") == 2
    assert (in_json["bounced"], in_json["bounces_unmeasured"]) == (None, 3)
    assert mailroom("runs", "report", run.id, "--json").json == in_json


def test_runs_are_found_by_schedule_state_and_time(mailroom: Terminal, system: System) -> None:
    run = a_finished_run(system.db, 3)

    def found(*words: str) -> list[str]:
        return [each["id"] for each in mailroom("runs", "list", "--json", *words).json["items"]]

    assert found("--schedule", "week", "--status", "finished", "--since", run.due_at.isoformat()) == [run.id]
    assert found("--schedule-id", run.schedule_id, "--until", run.due_at.isoformat()) == []
    assert mailroom("runs", "list", "--since", "yesterday").code == 2
    assert mailroom("runs", "list", "--cursor", "nonsense").code == 2


def test_a_resend_asks_with_the_number_of_recipients(mailroom: Terminal, system: System) -> None:
    source = a_finished_run(system.db, 10, failed=2)

    listed = mailroom("runs", "unreached", source.id)
    alone = mailroom("runs", "send-again", source.id)
    code, shown = mailroom.seen("runs", "send-again", source.id, "--key", "k", answer="y")

    assert (len(listed.out.splitlines()), "2 of them are carried by no other run" in listed.err) == (1 + 2, True)
    assert (alone.code, "Resend to 2 recipients?" in alone.err) == (2, True)
    assert (code, "Schedule: Weekday digest" in shown) == (0, True)
    again = shown.splitlines()[-1]
    assert mailroom("runs", "send-again", source.id, "--key", "k", "--yes").id == again
    assert planned(system.db, run_views.get(system.db, RunId(again))) == unreached(system.db, source, "failed")
    assert mailroom("runs", "send-again", source.id, "--yes").code == 1
    assert mailroom("runs", "unreached", "nonsense").err == "Error: there is no run nonsense\n"


def test_a_run_is_paused_resumed_and_cancelled_after_a_question(mailroom: Terminal, line: Line) -> None:
    run, _ = a_run(line, 30)

    paused = mailroom("runs", "pause", run)
    resumed = mailroom("runs", "resume", run, "--json").json
    kept = mailroom("runs", "cancel", run)
    cancelled = mailroom("runs", "cancel", run, "--yes", "--json").json
    again = mailroom("runs", "cancel", run)

    assert paused.out == "paused. 0 emails sent, 30 emails waiting; no request is in flight.\n"
    assert (resumed["paused_at"], resumed["mails"]["held"]) == (None, 30)
    assert (kept.code, "Stop sending “Weekday digest”? 30 emails not sent yet" in kept.err) == (2, True)
    assert (cancelled["status"], cancelled["mails"]["cancelled"]) == ("cancelled", 30)
    assert (again.code, "is cancelled already" in again.err) == (1, True)


def test_a_doubt_is_resolved_after_a_question_with_the_number_of_mails(
    mailroom: Terminal, system: System, call: Caller
) -> None:
    a_doubt(system.db, state="unknown", messages=994)

    listed = mailroom("dispatches", "list", "--state", "unknown", "--json").json
    shown = mailroom("dispatches", "show", DISPATCH, "--json").json
    kept = mailroom("dispatches", "resolve", DISPATCH, "--went-out")
    undecided = mailroom("dispatches", "resolve", DISPATCH)

    assert listed == call("GET", "/v1/dispatches?state=unknown").json
    assert shown == call("GET", f"/v1/dispatches/{DISPATCH}").json
    assert (kept.code, "Mark 994 emails as sent?" in kept.err) == (2, True)
    assert undecided.code == 2
    assert the_state(system.db) == "unknown"
    code, screen = mailroom.seen("dispatches", "resolve", DISPATCH, "--went-out", answer="y")
    assert (code, the_state(system.db)) == (0, "accepted")
    assert screen.endswith(f"{DISPATCH}: went out\n")


def test_failed_calls_are_listed_retried_and_dismissed_after_a_question(
    mailroom: Terminal, system: System, call: Caller
) -> None:
    ids = failed_dispatches(system.db, 3)

    listed = mailroom("dead-letters", "list", "--json", "--code", "550").json
    kept = mailroom("dead-letters", "drop", "--all")
    none_named = mailroom("dead-letters", "drop")
    dropped = mailroom("dead-letters", "drop", ids[0], "--yes", "--json").json
    code, screen = mailroom.seen("dead-letters", "drop", "--all", answer="y")

    assert listed == call("GET", "/v1/dead-letters?code=550").json | {"items": listed["items"]}
    assert [one["id"] for one in listed["items"]] == ids
    assert (kept.code, "Dismiss 3 failed requests?" in kept.err) == (2, True)
    assert none_named.code == 2
    assert dropped == {"done": 1, "refused": {}}
    assert (code, "Dismiss 2 failed requests? [y/N]: y" in screen) == (0, True)
    assert mailroom("dead-letters", "list", "--json").json["items"] == []


def test_refused_requests_are_listed_as_the_api_lists_them(mailroom: Terminal, system: System, call: Caller) -> None:
    call("POST", "/v1/schedules", json={"name": 7})
    wait_for(lambda: system.db.refusals.count_documents({}), within_s=10, what="the refusal is stored")

    listed = mailroom("refusals", "--status", "422", "--json").json

    assert listed == call("GET", "/v1/refusals?status=422").json
    assert "name: Not a valid string" in mailroom("refusals").out
    assert faults(mailroom("refusals", "--cursor", "nonsense")).keys() == {"cursor"}


def test_the_feed_of_a_run_is_shown_as_the_api_shows_it(mailroom: Terminal, system: System, call: Caller) -> None:
    schedule = stored_schedule(system.db, feed={"url": "https://feeds.example.com/news?key=secret"})
    run, _ = asked_runs.run_now(system.db, schedule.id, owner="tests", key="k")

    shown = mailroom("runs", "feed", run.id, "--json")

    assert shown.json == call("GET", f"/v1/runs/{run.id}/feed").json
    assert shown.json["status"] == "waiting"
