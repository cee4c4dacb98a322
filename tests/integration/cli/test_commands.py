"""Commands at the terminal, as a person types them."""

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from cli.main import main
from mailroom.domain.ids import RunId
from mailroom.services.reports import runs as run_views
from tests.support.finished_runs import a_finished_run, planned, unreached
from tests.support.lines import Line, a_run
from tests.support.system import System

Run = Callable[..., Result]


@pytest.fixture
def run(system: System) -> Run:
    def typed(*words: str) -> Result:
        return CliRunner().invoke(main, list(words), env=system.environment)

    return typed


def test_providers_are_ordered_switched_off_and_on(system: System, run: Run) -> None:
    system.environment |= {"MAILROOM_PROVIDERS": "mailgun,smtp", "SMTP_URL": "smtp://localhost:25?tls=none"}

    assert run("providers", "order", "smtp", "mailgun").exit_code == 0
    assert run("providers", "disable", "smtp").stdout.strip() == "smtp gets no new work"
    rows = [line.split()[:3] for line in run("providers", "list").stdout.splitlines()[1:]]
    assert rows == [["smtp", "no", "closed"], ["mailgun", "yes", "closed"]]
    last = run("providers", "disable", "mailgun")
    assert "nothing is sent until one is" in last.output
    unwell = run("doctor")
    assert unwell.exit_code == 1
    assert "none gets new work" in unwell.output
    assert run("providers", "enable", "smtp").stdout.strip() == "smtp gets new work"

    for wrong in (("enable", "pigeon"), ("order", "smtp")):
        refused = run("providers", *wrong)
        assert refused.exit_code == 1
        assert "Error" in refused.output


def test_a_store_that_is_away_is_told_in_a_line(system: System, run: Run) -> None:
    system.environment |= {"MAILROOM_MONGO_URL": "mongodb://127.0.0.1:9/mailroom?serverSelectionTimeoutMS=200"}

    refused = run("schedules", "list")

    assert refused.exit_code == 1
    assert refused.output.startswith("Error: MongoDB did not answer: 127.0.0.1:9")
    assert len(refused.output.splitlines()) == 1


def test_a_limit_is_set_listed_and_removed(run: Run) -> None:
    words = ("rate-limits", "set", "domain", "example.org", "--mails", "1000", "--per", "day", "--warm-up", "50,100")

    assert run(*words).stdout.strip() == "domain/example.org: 50 per day from now on"
    assert "domain/example.org" in run("rate-limits", "list").stdout
    assert run("rate-limits", "remove", "domain", "example.org").exit_code == 0

    assert run("rate-limits", "remove", "domain", "example.org").exit_code == 1
    assert "example.org" not in run("rate-limits", "list").stdout
    assert run(*words[:4], "--mails", "0", "--per", "day").exit_code == 1
    assert run(*words[:-1], "soon").exit_code == 1


def test_whom_a_run_did_not_reach_is_listed_and_sent_to_again(system: System, run: Run) -> None:
    source = a_finished_run(system.db, 10, failed=2)

    listed = run("runs", "unreached", source.id)
    again = run("runs", "send-again", source.id, "--key", "k").stdout.strip()

    assert len(listed.stdout.splitlines()) == 1 + 2
    assert "2 of them are carried by no other run" in listed.output
    assert run("runs", "send-again", source.id, "--key", "k").stdout.strip() == again
    assert planned(system.db, run_views.get(system.db, RunId(again))) == unreached(system.db, source, "failed")
    assert run("runs", "send-again", source.id).exit_code == 1
    assert run("runs", "unreached", "nonsense").exit_code == 1


def test_a_token_is_made_rotated_listed_and_revoked(run: Run) -> None:
    old = run("token", "create", "--name", "shop", "--scope", "mail").stdout.strip()
    old_id = old.split("_")[1]

    new_id = run("token", "rotate", old_id, "--overlap", "0").stdout.strip().split("_")[1]

    rows = [line.split() for line in run("token", "list").stdout.splitlines()[1:]]
    assert [(row[0], row[2]) for row in rows[:2]] == [(new_id, old_id), (old_id, old_id)]
    assert run("token", "rotate", old_id).exit_code == 1
    assert run("token", "revoke", new_id).exit_code == 0
    assert run("token", "revoke", new_id).exit_code == 1


def test_sending_is_stopped_and_started_and_runs_and_schedules_are_paused(run: Run, line: Line) -> None:
    run_id, schedule_id = a_run(line, 30)

    assert run("sending", "status").stdout == "Sending is on.\n"
    assert run("sending", "stop").stdout.endswith("No request is in flight.\n")
    stopped = run("sending", "status")
    assert (stopped.exit_code, "All sending was stopped by cli:" in stopped.stdout) == (1, True)
    assert run("sending", "start").stdout == "Sending is on.\n"
    waiting = "0 emails sent, 30 emails waiting; no request is in flight.\n"
    assert run("runs", "pause", run_id).stdout == f"paused. {waiting}"
    assert "is paused already" in run("runs", "pause", run_id).output
    assert run("runs", "resume", run_id).stdout == f"resumed. {waiting}"
    assert run("schedules", "pause", schedule_id).stdout == f"paused. {waiting}"
    assert run("schedules", "resume", schedule_id).stdout == f"resumed. {waiting}"
    assert run("schedules", "archive", schedule_id).stdout.startswith("archived. 0 emails sent, 30 emails cancelled")
    assert "is cancelled already" in run("runs", "cancel", run_id).output
