"""Schedules at the terminal: made of a file, looked at, changed, run, put away."""

import json
from pathlib import Path
from typing import Any

from mailroom.services.schedules import lifecycle
from tests.support.builders import recipients, stored_schedule
from tests.support.caller import Caller
from tests.support.finished_runs import a_finished_run
from tests.support.lines import Line, a_run
from tests.support.system import System, a_schedule_body
from tests.support.terminal import Terminal, faults


def written(folder: Path, **changes: Any) -> str:
    file = folder / "schedule.json"
    file.write_text(json.dumps(a_schedule_body(**changes)))
    return str(file)


def test_a_schedule_is_made_of_a_file_or_of_standard_input_once_for_each_key(
    mailroom: Terminal, system: System, tmp_path: Path
) -> None:
    file = written(tmp_path)

    made = mailroom.process("schedules", "create", file, "--key", "k").id
    again = mailroom.process("schedules", "create", "-", "--key", "k", stdin=Path(file).read_bytes()).id

    assert again == made
    assert [doc["_id"] for doc in system.db.schedules.find()] == [made]
    assert mailroom.process("schedules", "show", made, "--json").json["recurrence"]["expression"] == "0 9 * * 1-5"


def test_every_fault_of_a_file_is_reported_with_its_path_and_nothing_is_stored(
    mailroom: Terminal, system: System, tmp_path: Path
) -> None:
    """Those of the shape and those of the domain, in one answer."""
    wrong = {"name": 7, "from": "nobody", "recurrence": {"kind": "cron", "expression": "99 * * * *"}, "colour": "red"}
    file = written(tmp_path, **wrong, recipients=[{"address": "bo@example.org"}, {"address": "nobody"}])

    told = faults(mailroom("schedules", "create", file))

    assert {"name", "from", "recurrence.expression", "colour", "recipients[1].address"} <= told.keys()
    assert system.db.schedules.count_documents({}) == 0
    assert system.db.audiences.count_documents({}) == 0


def test_what_is_no_json_is_refused_with_its_place(mailroom: Terminal) -> None:
    refused = mailroom("schedules", "create", "-", stdin='{"name": ')
    doubled = mailroom("schedules", "create", "-", stdin='{"name": "a", "name": "b"}')
    missing = mailroom("schedules", "create", "no-such-file.json")

    assert "cannot be read as JSON" in faults(refused)["body"]
    assert "stands twice" in faults(doubled)["body"]
    assert (missing.code, "no-such-file.json" in missing.err) == (2, True)


def test_show_and_list_answer_as_the_api_does(mailroom: Terminal, system: System, call: Caller) -> None:
    first, second = (stored_schedule(system.db, name=name) for name in ("Digest", "News"))

    listed = mailroom("schedules", "list", "--json", "--limit", "1", "--total")
    rest = mailroom("schedules", "list", "--json", "--cursor", listed.json["next_cursor"])

    assert mailroom("schedules", "show", first.id, "--json").json == call("GET", f"/v1/schedules/{first.id}").json
    assert listed.json == call("GET", "/v1/schedules?limit=1&total=true").json
    assert [schedule["id"] for schedule in rest.json["items"]] == [first.id]
    by_name = mailroom("schedules", "list", "--json", "--name", "new", "--sort", "-name", "--status", "active")
    assert [schedule["id"] for schedule in by_name.json["items"]] == [second.id]
    assert mailroom("schedules", "show", "none").err == "Error: there is no schedule none\n"


def test_what_show_answers_is_taken_back_by_edit(mailroom: Terminal, system: System) -> None:
    schedule = stored_schedule(system.db)
    shown = mailroom("schedules", "show", schedule.id, "--json").json

    changed = mailroom("schedules", "edit", schedule.id, "-", stdin=json.dumps(shown | {"name": "Other"}))
    stale = mailroom("schedules", "edit", schedule.id, "-", "--if-version", "1", stdin='{"name": "Third"}')
    wrong = mailroom("schedules", "edit", schedule.id, "-", stdin='{"subject": "{{ nonsense }}", "id": "x"}')

    assert changed.id == schedule.id
    assert mailroom("schedules", "show", schedule.id, "--json").json["name"] == "Other"
    assert (stale.code, "version" in stale.err) == (1, True)
    assert faults(wrong).keys() == {"id"}


def test_the_next_runs_and_those_of_a_rule_that_is_not_stored_are_shown(
    mailroom: Terminal, system: System, call: Caller
) -> None:
    schedule = stored_schedule(system.db)
    rule = {"recurrence": {"kind": "cron", "expression": "30 2 * * *", "time_zone": "Europe/Berlin"}, "count": 3}

    due = mailroom("schedules", "next-runs", schedule.id, "--count", "3", "--json")
    preview = mailroom("schedules", "preview", "-", stdin=json.dumps(rule))

    assert due.json == call("GET", f"/v1/schedules/{schedule.id}/next-runs?count=3").json
    assert len(preview.out.splitlines()) == 1 + 3
    assert "T02:30:00+" in preview.out
    assert faults(mailroom("schedules", "preview", "-", stdin='{"recurrence": {"kind": "never"}}'))


def test_send_now_asks_at_the_terminal_with_the_count_and_the_name(mailroom: Terminal, system: System) -> None:
    schedule = stored_schedule(system.db, recipients=recipients(1_994))

    alone = mailroom("schedules", "run-now", schedule.id)
    no = mailroom.seen("schedules", "run-now", schedule.id, answer="n")
    runs_before = system.db.runs.count_documents({})
    yes = mailroom.captured("schedules", "run-now", schedule.id, answer="y")

    assert (alone.code, alone.out) == (2, "")
    assert "Send now to 1,994 recipients? Nobody can be asked here: say --yes" in alone.err
    assert no[0] == 1
    about = "Schedule: Weekday digest\nSubject: Hello {{ name }}\nSuppressed recipients are excluded.\n"
    assert f"{about}Send now to 1,994 recipients? [y/N]: " in no[1]
    assert runs_before == 0
    assert [doc["_id"] for doc in system.db.runs.find()] == [yes.id]
    assert yes.out == f"{yes.id}\n"


def test_send_now_with_yes_prints_the_run_and_is_the_same_run_for_the_same_key(
    mailroom: Terminal, system: System
) -> None:
    schedule = stored_schedule(system.db)

    run = mailroom("schedules", "run-now", schedule.id, "--yes", "--key", "k").id
    again = mailroom("schedules", "run-now", schedule.id, "--yes", "--key", "k", "--json").json
    lifecycle.pause(system.db, schedule.id)
    paused = mailroom("schedules", "run-now", schedule.id, "--yes")

    assert (again["id"], again["kind"]) == (run, "asked")
    assert (paused.code, "is paused" in paused.err) == (1, True)
    assert mailroom("schedules", "run-now", schedule.id, "--yes", "--even-if-paused").code == 0


def test_a_run_is_skipped_after_a_question(mailroom: Terminal, system: System) -> None:
    schedule = stored_schedule(system.db)
    assert schedule.next_run_at is not None

    refused = mailroom("schedules", "skip-next", schedule.id)
    skipped = mailroom("schedules", "skip-next", schedule.id, "--yes", "--json").json

    assert (refused.code, schedule.next_run_at.isoformat() in refused.err) == (2, True)
    assert (skipped["status"], skipped["due_at"]) == ("skipped", schedule.next_run_at.isoformat())


def test_pause_resume_archive_and_restore_answer_with_the_counts_of_the_mails(mailroom: Terminal, line: Line) -> None:
    _, schedule = a_run(line, 30)

    paused = mailroom("schedules", "pause", schedule, "--json").json
    resumed = mailroom("schedules", "resume", schedule)
    kept = mailroom("schedules", "archive", schedule)
    archived = mailroom("schedules", "archive", schedule, "--yes", "--json").json
    restored = mailroom("schedules", "restore", schedule)

    assert (paused["status"], paused["mails"]["held"], paused["mails"]["in_flight"]) == ("paused", 30, [])
    assert resumed.out == "resumed. 0 emails sent, 30 emails waiting; no request is in flight.\n"
    assert (kept.code, "30 emails not sent yet would be cancelled" in kept.err) == (2, True)
    assert (archived["status"], archived["mails"]["cancelled"]) == ("archived", 30)
    assert restored.out == "restored, and paused.\n"


def test_the_report_of_a_schedule_is_the_sum_of_its_runs(mailroom: Terminal, system: System, call: Caller) -> None:
    run = a_finished_run(system.db, 10, failed=2)

    report = mailroom("schedules", "report", run.schedule_id, "--json").json
    shown = mailroom("schedules", "report", run.schedule_id).out.splitlines()

    assert report["total"] == report["items"][0]["report"] == call("GET", f"/v1/runs/{run.id}/report").json
    assert (report["total"]["recipients"], report["total"]["failed"]) == (10, 2)
    assert len(shown) == 1 + 1 + 1


def test_a_schedule_is_rendered_tried_and_copied(system: System) -> None:
    mailroom = Terminal(system)
    schedule = stored_schedule(system.db, html="<a href='/x'>x</a>")

    shown = mailroom("schedules", "render", schedule.id)
    tried = mailroom("schedules", "test", schedule.id, "me@example.com", "--key", "k")
    again = mailroom("schedules", "test", schedule.id, "me@example.com", "--key", "k")
    copied = mailroom("schedules", "duplicate", schedule.id, "--key", "k")

    assert "Subject: Hello Bo\n\n--- text\nHello Bo in Rome\n" in shown.out
    assert "1 link without a whole address" in shown.err
    assert tried.out == again.out
    assert [doc["subject"] for doc in system.db.emails.find()] == ["[Test] Hello Bo"]
    copy = system.db.schedules.find_one({"_id": copied.out.strip()})
    assert copy
    assert (copy["name"], copy["state"]) == ("Copy of Weekday digest", "paused")
