"""Mailgun's own lists at the terminal and by the API, at the simulator."""

import requests

from tests.support.caller import Caller
from tests.support.system import DOMAIN, System
from tests.support.terminal import Terminal


def fill(system: System, count: int) -> None:
    system.start_simulator()
    records = [{"address": f"b{number}@example.org", "error": "5.1.1 no such user"} for number in range(count)]
    url = f"{system.simulator.url}/v3/{DOMAIN}/bounces"
    requests.post(url, json=records, auth=("api", "key-for-tests"), timeout=30).raise_for_status()


def test_a_command_takes_mailguns_lists_over_and_may_be_repeated(mailroom: Terminal, system: System) -> None:
    fill(system, 30)

    first = mailroom("suppressions", "import-mailgun")
    again = mailroom("suppressions", "import-mailgun", "--json")
    later = mailroom("suppressions", "import-mailgun", "--cursor", "bounces:b5@example.org")

    assert first.out == "30 added, 0 there already, 0 left out\n"
    assert again.json == {"added": 0, "unchanged": 30, "left_out": 0, "next_cursor": None}
    assert later.out == "0 added, 4 there already, 0 left out\n"
    assert mailroom("suppressions", "import-mailgun", "--cursor", "nonsense").code == 2


def test_a_command_that_is_cut_off_says_how_to_go_on(mailroom: Terminal, system: System) -> None:
    fill(system, 1)
    system.simulator.turn(suppressions_status=503)

    failed = mailroom("suppressions", "import-mailgun", "--cursor", "complaints:it's@example.org")

    assert failed.code == 1
    assert "--cursor 'complaints:it'\"'\"'s@example.org'" in failed.err


def test_the_api_takes_some_pages_over_at_a_time(call: Caller, system: System) -> None:
    fill(system, 3)

    done = call("POST", "/v1/suppressions/import/mailgun", json={})
    wrong = call("POST", "/v1/suppressions/import/mailgun", json={"cursor": "nonsense"})

    assert done.json == {"added": 3, "unchanged": 0, "left_out": 0, "next_cursor": None}
    assert wrong.status_code == 422
    assert call("GET", "/v1/suppressions/b1@example.org").json["scopes"][0]["reason"] == "bounced"
