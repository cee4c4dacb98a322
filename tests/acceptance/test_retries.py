"""Tries in the background, at their interval; what fails for good, and what a person can do about it."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.support.campaigns import a_campaign, finished
from tests.support.emails import hand_in, shown, status
from tests.support.failover import QUICK
from tests.support.smtp import SmtpServer
from tests.support.system import System, wait_for


@pytest.fixture
def post() -> Iterator[SmtpServer]:
    made = SmtpServer().start()
    yield made
    made.stop()


@pytest.fixture
def running(system: System, post: SmtpServer) -> System:
    """One sender that sends by SMTP, and could by Mailgun; three tries, a second apart."""
    system.environment |= {
        **QUICK,
        "MAILROOM_PROVIDERS": "smtp,mailgun",
        "SMTP_URL": post.url(),
        "MAILROOM_RETRY_DELAYS": "1,1",
        "MAILROOM_RETRY_DELAYS_HIGH": "none",
        "MAILROOM_CIRCUIT_FAILURES": "1000",
    }
    system.start_simulator()
    system.start_api(webhooks=False)
    system.call("PATCH", "/v1/providers/mailgun", json={"enabled": False}).raise_for_status()
    system.start_senders(1)
    return system


def tries_of(system: System, email: str) -> list[Any]:
    """When each call was refused."""
    dispatch = system.db.dispatches.find_one({"run_id": email})
    assert dispatch
    return [step["at"] for step in dispatch["trail"] if step["step"] in ("returned", "failed")]


def dead(system: System, **query: Any) -> list[dict[str, Any]]:
    return list(system.call("GET", "/v1/dead-letters", params=query).json()["items"])


def cli(system: System, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        env=system.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_mail_is_tried_three_times_at_the_interval_without_keeping_the_caller_waiting(
    running: System, post: SmtpServer
) -> None:
    post.post.at_data = ["451 4.3.0 later"] * 3
    email = hand_in(running)
    tried_before_the_answer = len(tries_of(running, email))

    wait_for(lambda: status(running, email) == "failed", within_s=20, what="its tries are used up")

    assert tried_before_the_answer < 3
    times = tries_of(running, email)
    assert len(times) == 3
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in pairwise(times))
    (recipient,) = shown(running, email)["recipients"]
    assert (recipient["tries"], recipient["code"]) == (3, 451)
    (letter,) = dead(running)
    assert (letter["run_id"], letter["code"]) == (email, 451)
    assert "later" in letter["reason"]


def test_a_priority_has_tries_of_its_own_and_what_is_refused_for_good_is_not_tried_again(
    running: System, post: SmtpServer
) -> None:
    post.post.at_data = ["451 4.3.0 later"]
    urgent = hand_in(running, priority="high")
    wait_for(lambda: status(running, urgent) == "failed", within_s=20, what="it has one try")
    post.post.at_rcpt = {"gone@example.org": "550 5.1.1 no such user"}
    refused = hand_in(running, to=["gone@example.org"])

    wait_for(lambda: status(running, refused) == "failed", within_s=20, what="it is refused for good")

    assert len(tries_of(running, urgent)) == 1
    assert len(tries_of(running, refused)) == 1


def test_what_failed_is_processed_again_after_a_hot_swap_of_the_provider(running: System, post: SmtpServer) -> None:
    post.post.at_data = ["554 5.7.1 not from you"] * 99
    ids = [hand_in(running, to=[f"reader-{n}@example.org"]) for n in range(3)]
    schedule = a_campaign(running, 2)
    wait_for(lambda: len(dead(running)) == 5, within_s=20, what="all failed")

    running.call("PATCH", "/v1/providers/mailgun", json={"enabled": True}).raise_for_status()
    running.call("PATCH", "/v1/providers/smtp", json={"enabled": False}).raise_for_status()
    wait_for(lambda: goes_by_mailgun(running), within_s=20, what="the sender has followed")
    before = len(running.simulator.mails())
    one = running.call("POST", "/v1/dead-letters/requeue", json={"ids": [dead(running, run_id=ids[0])[0]["id"], "x"]})
    rest = running.call("POST", "/v1/dead-letters/requeue", json={"all": True, "code": 554}).json()

    assert one.json()["done"] == 1
    assert list(one.json()["refused"]) == ["x"]
    assert rest["done"] >= 4
    wait_for(lambda: {status(running, id_) for id_ in ids} == {"sent"}, within_s=20, what="the mails are sent")
    wait_for(lambda: finished(running, schedule), within_s=20, what="the run is finished")
    assert len(running.simulator.mails()) == before + 1 + rest["done"]
    assert not post.post.got
    assert dead(running) == []


def goes_by_mailgun(system: System) -> bool:
    email = hand_in(system)
    wait_for(lambda: status(system, email) in ("sent", "failed"), within_s=10, what="it is decided")
    return status(system, email) == "sent"


def test_dead_letters_are_looked_through_and_dropped_at_the_terminal(running: System, post: SmtpServer) -> None:
    post.post.at_data = ["554 5.7.1 not from you"] * 2
    ids = [cli(running, "send", "--from", "a@mg.example.com", "--to", f"r{n}@example.org", "--subject", "Hi",
               "--text", "Hello").strip() for n in range(2)]  # fmt: skip
    wait_for(lambda: len(dead(running, kind="mail")) == 2, within_s=20, what="both failed")
    assert dead(running, kind="campaign") == []

    listed = cli(running, "dead-letters", "list")
    dropped = cli(running, "dead-letters", "drop", dead(running, run_id=ids[0])[0]["id"], "--yes")
    sent_again = cli(running, "dead-letters", "requeue", "--all", "--yes")

    assert all(id_ in listed and "not from you" in listed for id_ in ids)
    assert dropped.strip() == "1 dropped"
    assert sent_again.strip() == "1 to be sent again"
    wait_for(lambda: status(running, ids[1]) == "sent", within_s=20, what="the other one is sent")
    assert status(running, ids[0]) == "failed"
    assert dead(running) == []


@pytest.mark.parametrize("body", [{}, {"ids": ["x"], "all": True}, {"ids": []}, {"ids": ["x"], "code": 550}])
def test_what_to_do_with_which_dead_letters_must_be_said_clearly(running: System, body: dict[str, Any]) -> None:
    assert running.call("POST", "/v1/dead-letters/drop", json=body).status_code == 422
