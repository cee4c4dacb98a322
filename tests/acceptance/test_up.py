"""`mailroom up`: one command, and `kill -9` of all of it in the middle of a campaign."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
import requests

from local.binaries import HAPROXY, BinaryMissing, find
from local.ports import free_port
from tests.support.system import Simulator, a_schedule_body, wait_for

PORTS = ("API", "WEB", "WEBHOOKS", "SIMULATOR", "EDGE_API", "EDGE_WEB", "EDGE_STATUS")


class Up:
    """A running `mailroom up` over a data folder."""

    def __init__(self, data: Path, *more: str, at_a_terminal: bool = False, **settings: str) -> None:
        self.data, self.more, self.settings, self.at_a_terminal = data, more, settings, at_a_terminal
        self.ports = {name: str(free_port()) for name in PORTS}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['API']}"

    def start(self, *, within_s: float = 60) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAILROOM_", "MAILGUN_"))}
        environment = kept | {f"MAILROOM_{name}_PORT": port for name, port in self.ports.items()}
        environment |= {"MAILROOM_LEASE_TTL": "4"} | self.settings
        self.data.mkdir(exist_ok=True)
        with self.output() as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "up", "--senders", "2", "--data", str(self.data), *self.more],
                env=environment,
                stderr=log,
                stdout=log,
                start_new_session=True,  # a process group of its own, as at a terminal
            )
        before = self.greetings()
        wait_for(lambda: self.greetings() > before, within_s=within_s, what="it says that it is up")

    @contextmanager
    def output(self) -> Iterator[int]:
        """Where it writes: to the file `up.log`; at a terminal, all that the terminal shows is kept there."""
        log = (self.data / "up.log").open("ab", buffering=0)
        if not self.at_a_terminal:
            with log:
                yield log.fileno()
            return
        shown, terminal = os.openpty()
        threading.Thread(target=copy_all, args=(shown, log), daemon=True).start()
        yield terminal
        os.close(terminal)

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
            self.process.wait(120)


def runs(process: psutil.Process) -> bool:
    """An ended process that nobody has asked about yet runs no more."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def copy_all(terminal: int, log: IO[bytes]) -> None:
    with log, contextlib.suppress(OSError):  # the terminal ends with the last process that holds it
        while data := os.read(terminal, 65_536):
            log.write(data)


@pytest.fixture
def up(tmp_path: Path) -> Any:
    made = Up(tmp_path / "data")
    made.start()
    yield made
    made.end()


def test_it_prints_the_addresses_and_how_to_sign_in_and_ends_all_of_it_on_ctrl_c(up: Up) -> None:
    family = up.family()

    up.end()

    said = (up.data / "up.log").read_text()
    assert f"http://localhost:{up.ports['WEB']}" in said
    assert f"http://localhost:{up.ports['SIMULATOR']}/inbox" in said
    assert re.search(r"mr_[0-9a-f]{16}_[\w-]{43}", said)
    assert "sign-in/link" not in said  # this is a log file: whoever reads it would be signed in
    assert up.process is not None
    assert up.process.returncode == 0
    wait_for(lambda: not any(map(runs, family)), within_s=10, what="all of it has ended")


def test_at_a_terminal_it_prints_a_link_that_signs_one_browser_in_once(tmp_path: Path) -> None:
    up = Up(tmp_path / "data", at_a_terminal=True)
    up.start()
    try:
        said = wait_for(lambda: linked(up), within_s=10, what="it prints the link")
        first, second = (requests.get(said, timeout=30, allow_redirects=True) for _ in range(2))
        logs = "".join(path.read_text(errors="ignore") for path in (up.data / "logs").rglob("*.log"))
    finally:
        up.end()

    assert said.startswith(f"http://localhost:{up.ports['WEB']}/")
    assert (first.status_code, second.status_code) == (200, 401)
    assert "Sign out" in first.text
    assert said.partition("secret=")[2] not in logs


def linked(up: Up) -> str:
    """The link to sign in with, as the terminal shows it."""
    found = re.search(r"http://localhost:\d+/sign-in/link\?secret=[\w-]{43}\b", (up.data / "up.log").read_text())
    return found[0] if found else ""


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


def test_when_the_process_that_forks_the_parts_is_killed_all_of_them_come_back(up: Up) -> None:
    assert up.process is not None
    senders = [one for one in up.family() if one.name().startswith("sender-")]
    (forks,) = {one.parent() for one in senders}
    assert forks is not None

    forks.kill()

    wait_for(lambda: not any(map(runs, senders)), within_s=10, what="the kernel has ended its children")
    wait_for(lambda: answers(up), within_s=30, what="the API answers again")
    a_campaign(up, 3)
    simulator = Simulator(int(up.ports["SIMULATOR"]))
    wait_for(lambda: inbox(simulator) == 3, within_s=30, what="the mails of a run are in the inbox")


def answers(up: Up) -> bool:
    with contextlib.suppress(requests.RequestException):
        return up.call("GET", "/v1/schedules").status_code == 200
    return False


def inbox(simulator: Simulator) -> int:
    with contextlib.suppress(requests.RequestException):
        return len(simulator.mails())
    return 0


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


@pytest.fixture
def behind_the_edge(tmp_path: Path) -> Iterator[Up]:
    try:
        find(HAPROXY)
    except BinaryMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    made = Up(tmp_path / "data", "--edge")
    try:
        made.start()
        yield made
    finally:
        made.end()


def test_behind_the_edge_a_mail_goes_out_and_is_opened_over_tls(behind_the_edge: Up) -> None:
    up = behind_the_edge
    api, pages = (f"https://localhost:{up.ports[name]}" for name in ("EDGE_API", "EDGE_WEB"))
    token = (up.data / "admin-token").read_text().strip()
    with requests.Session() as browser:
        browser.trust_env = False  # which would put another list of authorities in the place of this one
        browser.verify = str(up.data / "edge" / "edge.pem")
        signs_in = {"Authorization": f"Bearer {token}"}
        body = {"from": "a@mg.example.com", "to": ["bo@example.org"], "subject": "Hello", "html": "<p>Hello</p>"}
        mail = browser.post(f"{api}/v1/emails", json=body, headers=signs_in, timeout=30).json()["id"]
        simulator = Simulator(int(up.ports["SIMULATOR"]))
        arrived = wait_for(simulator.mails, within_s=30, what="it is in the inbox")
        simulator.open_mail(arrived[0]["id"])
        events = f"{api}/v1/emails/{mail}/events"
        wait_for(
            lambda: "opened" in browser.get(events, headers=signs_in, timeout=30).text,
            within_s=30,
            what="the webhook has told of it",
        )
        (cookie,) = browser.get(f"{pages}/sign-in", timeout=30).headers.get("Set-Cookie").split("\n")
        forged = {"X-Forwarded-For": "203.0.113.9"}
        browser.get(f"{api}/v1/emails", headers=forged, timeout=30)
        refusals = f"{api}/v1/refusals?status=401"
        refused = wait_for(
            lambda: browser.get(refusals, headers=signs_in, timeout=30).json()["items"],
            within_s=10,
            what="the refusal is recorded",
        )
        kinds = {one["kind"] for one in browser.get(f"{api}/v1/workers", headers=signs_in, timeout=30).json()["items"]}

    assert cookie.startswith("__Host-mailroom=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(cookie.split("; "))
    assert refused[0]["remote"] == "127.0.0.1"
    assert kinds == {"api", "web", "webhooks-in", "sender"}
    assert "/webhooks/mailgun" not in (up.data / "logs" / "api.log").read_text()
