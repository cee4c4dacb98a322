"""Providers, limits, tokens, webhooks and the switch at the terminal."""

from datetime import UTC, datetime, timedelta

from tests.support.caller import Caller
from tests.support.system import System, a_schedule_body
from tests.support.terminal import Terminal, faults


def test_providers_are_ordered_switched_off_and_on(system: System, call: Caller) -> None:
    both = {"MAILROOM_PROVIDERS": "mailgun,smtp", "SMTP_URL": "smtp://localhost:25?tls=none"}
    mailroom = Terminal(system, **both)

    assert mailroom("providers", "order", "smtp", "mailgun").out == "smtp before mailgun\n"
    assert mailroom("providers", "disable", "smtp").out == "smtp gets no new work\n"
    rows = [line.split()[:3] for line in mailroom("providers", "list").out.splitlines()[1:]]
    assert rows == [["smtp", "no", "closed"], ["mailgun", "yes", "closed"]]
    last = mailroom("providers", "disable", "mailgun")
    assert "nothing is sent until one is" in last.err
    unwell = mailroom("doctor")
    assert (unwell.code, "none gets new work" in unwell.out) == (1, True)
    assert mailroom("providers", "enable", "smtp").out == "smtp gets new work\n"
    assert mailroom("providers", "enable", "pigeon").err == "Error: there is no provider pigeon\n"
    assert faults(mailroom("providers", "order", "smtp")).keys() == {"order"}


def test_providers_limits_targets_and_the_switch_answer_as_the_api_does(mailroom: Terminal, call: Caller) -> None:
    made = mailroom("rate-limits", "set", "domain", "example.org", "--mails", "9", "--per", "day", "--json").json

    assert made == mailroom("rate-limits", "list", "--json").json["items"][0]
    for command, path in {
        "providers list": "/v1/providers",
        "rate-limits list": "/v1/rate-limits",
        "webhooks list": "/v1/webhook-targets",
        "sending status": "/v1/sending",
    }.items():
        assert mailroom(*command.split(), "--json").json == call("GET", path).json


def test_a_limit_is_set_listed_and_removed(mailroom: Terminal) -> None:
    words = ("rate-limits", "set", "domain", "example.org", "--mails", "1000", "--per", "day", "--warm-up", "50,100")

    assert mailroom(*words).out == "domain/example.org: 50 per day from now on\n"
    assert "domain/example.org" in mailroom("rate-limits", "list").out
    assert mailroom("rate-limits", "remove", "domain", "example.org").code == 0

    assert mailroom("rate-limits", "remove", "domain", "example.org").code == 1
    assert "example.org" not in mailroom("rate-limits", "list").out
    assert faults(mailroom(*words[:4], "--mails", "0", "--per", "day")).keys() == {"mails"}
    assert faults(mailroom(*words[:-1], "soon")).keys() == {"warm_up"}


def test_a_token_is_made_rotated_listed_and_revoked_after_a_question(mailroom: Terminal, call: Caller) -> None:
    expires_at = (datetime.now(UTC) + timedelta(days=9)).isoformat(timespec="seconds")
    old = mailroom("token", "create", "--name", "shop", "--scope", "mail", "--expires-at", expires_at).id
    old_id = old.split("_")[1]

    asked = mailroom("token", "rotate", old_id, "--overlap", "0")
    rotated = mailroom("tokens", "rotate", old_id, "--overlap", "0", "--yes", "--json").json
    listed = [one for one in mailroom("token", "list", "--json").json["items"] if one["name"] == "shop"]
    by_api = [one for one in call("GET", "/v1/tokens").json["tokens"] if one["name"] == "shop"]
    kept = mailroom("token", "revoke", rotated["id"])

    assert listed == by_api
    assert (asked.code, f"End token {old_id} (“shop”) at once?" in asked.err) == (2, True)
    assert rotated["token"].startswith(f"mr_{rotated['id']}_")
    assert [(one["id"], one["owner"]) for one in listed] == [(rotated["id"], old_id), (old_id, old_id)]
    assert mailroom("token", "rotate", old_id).code == 1
    assert (kept.code, f"Revoke token {rotated['id']} (“shop”)?" in kept.err) == (2, True)
    assert mailroom("token", "revoke", rotated["id"], "--yes", "--json").json["revoked_at"]
    assert mailroom("token", "revoke", rotated["id"], "--yes").code == 1
    assert faults(mailroom("token", "create", "--name", " ", "--scope", "mail")).keys() == {"name"}


def test_sending_is_stopped_and_started_and_log_lines_come_after_the_answer(
    mailroom: Terminal, system: System, call: Caller
) -> None:
    schedule = call("POST", "/v1/schedules", json=a_schedule_body(), headers={"Idempotency-Key": "k"}).json["id"]
    assert mailroom("sending", "status").out == "Sending is on.\n"
    stopped = mailroom.process("sending", "stop")
    status, as_json = mailroom("sending", "status"), mailroom("sending", "status", "--json")
    asked = mailroom("schedules", "run-now", schedule, "--yes")
    _, screen = mailroom.seen("sending", "start", columns=200)

    assert asked.err.startswith("The run waits: all sending was stopped by cli:")
    assert mailroom("runs", "show", asked.id, "--json").json["status"] in {"planning", "planned", "finished"}
    assert stopped.out.endswith("No request is in flight.\n")
    assert (status.code, "All sending was stopped by cli:" in status.out) == (1, True)
    assert (as_json.code, '"sending": false' in as_json.out) == (1, True)
    assert screen.startswith("Sending is on.\n")
    assert "sending_started" in screen


def test_bad_settings_are_reported_all_at_once(system: System) -> None:
    refused = Terminal(system, MAILROOM_MONGO_URL="http://x", MAILROOM_LEASE_TTL="soon")("schedules", "list")

    assert refused.code == 2
    assert refused.out == ""
    assert {line.split()[0].rstrip(":") for line in refused.err.splitlines()[1:]} >= {
        "MAILROOM_MONGO_URL",
        "MAILROOM_LEASE_TTL",
    }
