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

    def __init__(self, data: Path, **settings: str) -> None:
        self.data, self.settings = data, settings
        self.ports = {name: str(free_port()) for name in ("API", "WEB", "SIMULATOR")}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['API']}"

    def start(self, *, within_s: float = 60) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAILROOM_", "MAILGUN_"))}
        environment = kept | {f"MAILROOM_{name}_PORT": port for name, port in self.ports.items()}
        environment |= {"MAILROOM_LEASE_TTL": "4"} | self.settings
        self.data.mkdir(exist_ok=True)
        with (self.data / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "up", "--senders", "2", "--data", str(self.data)],
                env=environment,
                stderr=log,
                stdout=log,
                start_new_session=True,  # a process group of its own, as at a terminal
            )
        before = self.greetings()
        wait_for(lambda: self.greetings() > before, within_s=within_s, what="it says that it is up")

    def greetings(self) -> int:
        log = self.data / "up.log"
        return log.read_text().count("Mailroom is up") if log.exists() else 0

    def call(self, method: str, path: str, **rest: Any) -> requests.Response:
        token = (self.data / "admin-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", **rest.pop("headers", {})}
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


def a_campaign(up: Up, count: int) -> str:
    """A run of `count` mails, asked for now; each mail has a mark of this test's own. Returns the run's id."""
    people = [{"address": f"reader-{n}@example.org", "variables": {"mark": f"mark-{n}"}} for n in range(count)]
    rule = {"kind": "every", "seconds": 86_400, "time_zone": "UTC"}
    body = a_schedule_body(subject="{{ mark }}", text="Hello", html="", recipients=people, recurrence=rule)
    made = up.call("POST", "/v1/schedules", json=body).json()
    run = up.call("POST", f"/v1/schedules/{made['id']}/run-now", headers={"Idempotency-Key": "k"}).json()
    return str(run["id"])


def balanced(up: Up, run: str, count: int) -> dict[str, int] | None:
    """The report, once every mail is shown as sent or as in doubt."""
    report = dict(up.call("GET", f"/v1/runs/{run}/report").json())
    return report if report["sent"] + report["in_doubt"] == count else None


def test_a_ctrl_c_at_the_terminal_in_mid_run_drains_and_leaves_nothing_in_doubt(up: Up) -> None:
    simulator = Simulator(int(up.ports["SIMULATOR"]))
    simulator.turn(latency_s=0.5)
    run = a_campaign(up, 12_000)
    wait_for(lambda: len(simulator.calls()) >= 3, within_s=30, what="some calls were made")

    assert up.process is not None
    os.killpg(up.process.pid, signal.SIGINT)  # a terminal signals the whole foreground group
    up.process.wait(120)
    up.start()

    report = wait_for(lambda: balanced(up, run, 12_000), within_s=60, what="every mail is shown")
    copies = Counter(mail["subject"] for mail in simulator.mails())
    assert report["in_doubt"] == 0
    assert copies == {f"mark-{n}": 1 for n in range(12_000)}


def test_killed_as_a_whole_in_mid_run_it_goes_on_where_it_was_and_doubles_nothing(up: Up) -> None:
    simulator = Simulator(int(up.ports["SIMULATOR"]))
    simulator.turn(latency_s=0.25)
    count = 15_000
    run = a_campaign(up, count)
    wait_for(lambda: len(simulator.calls()) >= 3, within_s=30, what="some calls were made")

    family = up.family()
    assert up.process is not None
    up.process.kill()
    up.process.wait(10)
    wait_for(lambda: not any(p.is_running() for p in family), within_s=10, what="the kernel has ended all of it")
    up.start()

    report = wait_for(lambda: balanced(up, run, count), within_s=60, what="every mail is shown as sent or in doubt")
    copies = Counter(mail["subject"] for mail in simulator.mails())
    assert max(copies.values()) == 1
    assert report["recipients"] == count
    assert report["sent"] <= len(copies) <= report["sent"] + report["in_doubt"]


def test_its_settings_are_kept_for_other_commands(up: Up) -> None:
    command = f". {up.data / 'env'} && {sys.executable} -m cli.main token create --name x --scope read"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert re.fullmatch(r"mr_[0-9a-f]{16}_[\w-]{43}\n", done.stdout)


def test_a_port_that_is_taken_is_named_with_its_setting(up: Up, tmp_path: Path) -> None:
    second = Up(tmp_path / "second")
    second.ports["API"] = up.ports["API"]

    with pytest.raises(AssertionError):
        second.start(within_s=0.5)

    assert second.process is not None
    assert second.process.wait(60) == 1
    assert f"port {up.ports['API']} is taken: set MAILROOM_API_PORT" in (second.data / "up.log").read_text()


def test_a_second_one_on_the_same_folder_says_at_once_who_runs_there(up: Up) -> None:
    command = [sys.executable, "-m", "cli.main", "up", "--data", str(up.data)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert up.process is not None
    assert done.returncode == 1
    assert f"runs here already (pid {up.process.pid})" in " ".join(done.stderr.split())
    assert up.call("GET", "/v1/schedules").status_code == 200


def test_it_starts_without_mailgun_keeps_every_setting_and_lets_nobody_else_read(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("SG.x")
    settings = {
        "MAILROOM_PROVIDERS": "smtp,sendgrid",
        "SMTP_URL": "smtp://127.0.0.1:1",
        "SENDGRID_API_KEY_FILE": os.path.relpath(secret),
        "SENDGRID_VERIFICATION_KEY": "YQ==",
    }
    made = Up(tmp_path / "data", **settings)
    made.data.mkdir(mode=0o755)
    (made.data / "old").write_text("readable")
    made.start()
    try:
        command = f". {made.data / 'env'} && {sys.executable} -m cli.main doctor"
        seen = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env=_clean()
        )
        open_to_others = [path for path in (made.data, *made.data.rglob("*")) if path.stat().st_mode & 0o077]
    finally:
        made.end()

    assert "smtp" in seen.stdout, seen.stdout + seen.stderr
    assert "expected" not in seen.stderr
    assert [str(path) for path in open_to_others if path.name != "up.log"] == []
    assert "inbox" not in (made.data / "up.log").read_text()


def _clean() -> dict[str, str]:
    ours = ("MAILROOM_", "MAILGUN_", "SENDGRID_", "SMTP_", "AWS_", "SES_")
    root = str(Path(__file__).parents[2])
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | {"PYTHONPATH": root}
