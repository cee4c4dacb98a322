"""`mailroom up`: one command, and `kill -9` of all of it in the middle of a campaign."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from local.children import free_port
from tests.support.system import Simulator, a_schedule_body, wait_for


class Up:
    """A running `mailroom up` over a data folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.ports = {name: str(free_port()) for name in ("API", "WEB", "SIMULATOR")}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['API']}"

    def start(self) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAILROOM_", "MAILGUN_"))}
        environment = kept | {f"MAILROOM_{name}_PORT": port for name, port in self.ports.items()}
        environment |= {"MAILROOM_LEASE_TTL": "4"}
        self.data.mkdir(exist_ok=True)
        with (self.data / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "up", "--senders", "2", "--data", str(self.data)],
                env=environment,
                stderr=log,
                stdout=log,
            )
        before = self.greetings()
        wait_for(lambda: self.greetings() > before, within_s=60, what="it says that it is up")

    def greetings(self) -> int:
        log = self.data / "up.log"
        return log.read_text().count("Mailroom is up") if log.exists() else 0

    def call(self, method: str, path: str, **rest: Any) -> requests.Response:
        token = (self.data / "admin-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(method, f"{self.api}{path}", headers=headers, timeout=30, **rest)

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(60)


@pytest.fixture
def up(tmp_path: Path) -> Any:
    made = Up(tmp_path / "data")
    made.start()
    yield made
    made.end()


def test_it_prints_the_addresses_and_how_to_sign_in_and_ends_all_of_it_on_ctrl_c(up: Up) -> None:
    said = (up.data / "up.log").read_text()
    family = up.family()

    up.end()

    assert f"http://localhost:{up.ports['WEB']}" in said
    assert f"http://localhost:{up.ports['SIMULATOR']}/inbox" in said
    assert re.search(r"mr_[0-9a-f]{16}_[\w-]{43}", said)
    assert up.process is not None
    assert up.process.returncode == 0
    assert not [process for process in family if process.is_running() and process.status() != "zombie"]


def test_killed_as_a_whole_in_mid_run_it_goes_on_where_it_was_and_doubles_nothing(up: Up) -> None:
    simulator = Simulator(int(up.ports["SIMULATOR"]))
    simulator.turn(latency_s=0.25)
    count = 15_000
    people = [{"address": f"reader-{n}@example.org", "variables": {"mark": f"mark-{n}"}} for n in range(count)]
    made = up.call(
        "POST",
        "/v1/schedules",
        json=a_schedule_body(
            subject="{{ mark }}",
            text="Hello",
            html="",
            recipients=people,
            recurrence={"kind": "every", "seconds": 86_400, "time_zone": "UTC"},
        ),
    ).json()
    run = requests.post(
        f"{up.api}/v1/schedules/{made['id']}/run-now",
        headers={"Authorization": f"Bearer {(up.data / 'admin-token').read_text().strip()}", "Idempotency-Key": "k"},
        timeout=10,
    ).json()
    wait_for(lambda: len(simulator.calls()) >= 3, within_s=30, what="some calls were made")

    family = up.family()
    assert up.process is not None
    up.process.kill()
    up.process.wait(10)
    wait_for(lambda: not any(p.is_running() for p in family), within_s=10, what="the kernel has ended all of it")
    up.start()

    def nothing_is_open() -> bool:
        states = Counter(d["state"] for d in up.call("GET", f"/v1/dispatches?run_id={run['id']}").json()["items"])
        return sum(states.values()) >= 1 and not states.keys() & {"pending", "sending"}

    wait_for(
        lambda: (
            up.call("GET", f"/v1/runs/{run['id']}").json()["status"] in ("planned", "finished") and nothing_is_open()
        ),
        within_s=60,
        what="the run is judged to its end",
    )

    def balanced() -> dict[str, int] | None:
        report = dict(up.call("GET", f"/v1/runs/{run['id']}/report").json())
        return report if report["sent"] + report["in_doubt"] == count else None

    report = wait_for(balanced, within_s=15, what="every mail is shown as sent or as in doubt")
    copies = Counter(mail["subject"] for mail in simulator.mails())
    assert max(copies.values()) == 1
    assert report["recipients"] == count
    assert report["sent"] <= len(copies) <= report["sent"] + report["in_doubt"]
