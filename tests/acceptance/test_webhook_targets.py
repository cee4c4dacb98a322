"""One call pushes our URL to the provider, and says whether a test event arrives."""

import subprocess
import sys

import pytest

from tests.support.system import System


@pytest.fixture
def running(system: System) -> System:
    """API and simulator, that knows of no target."""
    system.start_simulator()
    system.start_api(webhooks=False)
    return system


def test_a_target_that_works_is_reported_so_and_is_used_from_then_on(running: System) -> None:
    body = {"provider": "mailgun", "url": running.api_url + "/"}

    pushed = running.call("POST", "/v1/webhook-targets", json=body)

    assert pushed.status_code == 200
    assert pushed.json()["arrived"]
    assert pushed.json()["url"] == f"{running.api_url}/webhooks/mailgun"
    (shown,) = running.call("GET", "/v1/webhook-targets").json()["items"]
    assert (shown["url"], shown["pushed_by"]) == (pushed.json()["url"], "tests")
    assert shown["arrived_at"]
    again = running.call("POST", "/v1/webhook-targets", json=body)
    assert again.json()["arrived"]


def test_a_target_that_nobody_answers_at_is_reported_so(running: System) -> None:
    body = {"provider": "mailgun", "url": "http://127.0.0.1:9", "wait_s": 1}

    pushed = running.call("POST", "/v1/webhook-targets", json=body)

    assert pushed.status_code == 200
    assert not pushed.json()["arrived"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"provider": "pigeon"}, 422),
        ({"provider": "smtp"}, 422),
        ({"provider": "mailgun", "url": "nonsense"}, 422),
        ({"provider": "mailgun", "url": "ftp://example.org"}, 422),
        ({"provider": "mailgun", "wait_s": 600}, 422),
    ],
)
def test_what_is_no_target_is_refused(running: System, body: dict[str, object], status: int) -> None:
    assert running.call("POST", "/v1/webhook-targets", json=body).status_code == status


def test_a_provider_that_is_away_is_reported_so(running: System) -> None:
    running.children[0].kill()

    assert running.call("POST", "/v1/webhook-targets", json={"provider": "mailgun"}).status_code == 503


def test_a_command_registers_the_url_and_says_whether_a_test_event_came(running: System) -> None:
    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cli.main", "webhooks", "set", *words]
        return subprocess.run(command, env=running.environment, capture_output=True, text=True, timeout=60, check=False)

    done = typed("--url", running.api_url)
    silent = typed("--url", "http://127.0.0.1:9", "--wait", "1")

    assert done.returncode == 0, done.stderr
    assert "a test event came after" in done.stdout
    assert silent.returncode == 1
    assert "can the URL be reached" in silent.stderr
