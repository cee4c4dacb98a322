"""A whole Mailroom of real processes: embedded servers, simulator, API, pages, any number of senders.

Every process is ended by its id when the system is put away, and by the kernel if the test run is killed.
"""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import requests

from config.settings import Settings, read_settings
from local.children import Child
from local.forked import ForkedChild
from local.ports import free_port
from local.servers import Servers
from mailroom.assembly.database import prepare_database
from mailroom.providers.mailgun.webhook_setup import MailgunTarget
from mailroom.services.operations import tokens as token_service
from mailroom.storage.database import Db
from tests.support.forked import fork_server

T = TypeVar("T")
DOMAIN = "mg.example.com"


def wait_for(condition: Callable[[], T], *, within_s: float, what: str) -> T:
    """The first true value of the condition. Fails, saying what was waited for, when the time is over."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s:.0f} s: {what}")


class Simulator:
    """The witness, over HTTP."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def record(self) -> dict[str, int]:
        return dict(requests.get(f"{self.url}/simulator/record/summary", timeout=10).json())

    def mails(self, *, after: int = 0) -> list[dict[str, Any]]:
        return list(self._all("mails", after))

    def calls(self) -> list[dict[str, Any]]:
        return list(self._all("calls"))

    def copies(self, *, after: int = 0) -> list[dict[str, Any]]:
        """Each copy as its recipient reads it."""
        return list(self._all("copies", after))

    def each_copy(self) -> Iterator[dict[str, Any]]:
        """The same, a thousand at a time in memory."""
        return self._all("copies", 0)

    def one_click(self, mail_id: int) -> None:
        """The reader's mail program unsubscribes, by the link in the mail's header."""
        requests.post(f"{self.url}/inbox/{mail_id}/one-click", timeout=20, allow_redirects=False).raise_for_status()

    def turn(self, **knobs: Any) -> None:
        requests.put(f"{self.url}/simulator/behaviour", json=knobs, timeout=10).raise_for_status()

    def fail_next(self, fault: str, times: int = 1) -> None:
        requests.post(
            f"{self.url}/simulator/faults", json={"fault": fault, "times": times}, timeout=10
        ).raise_for_status()

    def heal(self) -> None:
        requests.delete(f"{self.url}/simulator/faults", timeout=10).raise_for_status()

    def open_mail(self, mail_id: int, *, by_machine: bool = False) -> None:
        query = "?machine=1" if by_machine else ""
        requests.get(f"{self.url}/inbox/{mail_id}/pixel.gif{query}", timeout=10).raise_for_status()

    def _all(self, what: str, after: int = 0) -> Iterator[dict[str, Any]]:
        while page := requests.get(f"{self.url}/simulator/record/{what}", params={"after": after}, timeout=60).json()[
            "items"
        ]:
            yield from page
            after = page[-1]["id"]


class System:
    """Start what is needed; `close` ends it all. `database` lets several tests share the servers."""

    def __init__(self, folder: Path, servers: Servers, *, database: str, **settings: str) -> None:
        self.folder, self.servers = folder, servers
        self.children: list[Child] = []
        self.api_port, self.web_port, self.webhooks_port = free_port(), free_port(), free_port()
        simulator_port = free_port()
        self.simulator = Simulator(simulator_port)
        self._simulator_port = simulator_port
        self.environment: dict[str, str] = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MAILROOM_", "MAILGUN_"))},
            **servers.environment,
            "MAILROOM_MONGO_URL": servers.mongo_url.replace("/?", f"/{database}?"),
            "MAILROOM_SECRET_KEY": "only-for-tests-0123456789",
            "MAILROOM_API_PORT": str(self.api_port),
            "MAILROOM_PUBLIC_URL": f"http://127.0.0.1:{self.api_port}",
            "MAILROOM_WEB_PORT": str(self.web_port),
            "MAILROOM_WEBHOOKS_PORT": str(self.webhooks_port),
            "MAILROOM_LEASE_TTL": "4",
            "MAILROOM_CALL_TIMEOUT": "5",
            "MAILGUN_API_KEY": "key-for-tests",
            "MAILGUN_SIGNING_KEY": "signing-key-for-tests",
            "MAILGUN_DOMAIN": DOMAIN,
            "MAILGUN_BASE_URL": self.simulator.url,
            "MAILROOM_FEED_PRIVATE_HOSTS": f"127.0.0.1:{simulator_port}",
            **settings,
        }
        self.settings: Settings = read_settings(self.environment, dotenv=None)
        self.db: Db = prepare_database(self.settings)
        self.keeps_database = False  # when it is put away
        self._token: str | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def webhooks_url(self) -> str:
        return f"http://127.0.0.1:{self.webhooks_port}"

    @property
    def token(self) -> str:
        """An admin token, made on first use."""
        if self._token is None:
            self._token = token_service.create_token(self.db, name="tests", scopes=["admin"], now=datetime.now(UTC))
        return self._token

    def start_simulator(self) -> Child:
        arguments = ["simulator", "--port", str(self._simulator_port), "--data", str(self.folder / "simulator")]
        child = self._start("simulator", *arguments)
        child.wait_until(lambda: _healthy(f"{self.simulator.url}/simulator/health"), timeout_s=30)
        return child

    def start_api(self, *, webhooks: bool = True, **settings: str) -> Child:
        child = self._start("api", "api", **settings)
        child.wait_until(lambda: _healthy(f"{self.api_url}/health"), timeout_s=30)
        if webhooks:
            mailgun = self.settings.mailgun
            target = MailgunTarget(base_url=mailgun.base_url, domain=mailgun.domain, api_key=mailgun.api_key)
            target.push(f"{self.api_url}/webhooks/mailgun")
        return child

    def start_web(self) -> Child:
        child = self._start("web", "web")
        child.wait_until(lambda: _healthy(f"{self.web_url}/health"), timeout_s=30)
        return child

    def start_webhooks_in(self) -> Child:
        child = self._start("webhooks-in", "webhooks-in")
        child.wait_until(lambda: _healthy(f"{self.webhooks_url}/health"), timeout_s=30)
        return child

    def start_senders(self, count: int, **settings: str) -> list[Child]:
        """Senders that have said that they started."""
        first = sum(child.name.startswith("sender") for child in self.children)
        started = [self._start(f"sender-{first + number}", "sender", **settings) for number in range(count)]
        for child in started:
            child.wait_until(lambda child=child: "sender_started" in child.tail(200), timeout_s=30)
        return started

    def call(self, method: str, path: str, **rest: Any) -> requests.Response:
        """One call to the API, signed in."""
        headers = {"Authorization": f"Bearer {self.token}", **rest.pop("headers", {})}
        return requests.request(method, f"{self.api_url}{path}", headers=headers, timeout=60, **rest)

    def end_processes(self) -> None:
        """Kill those that still run, the last started first."""
        for child in reversed(self.children):
            if child.alive():
                child.kill()

    def close(self) -> None:
        """End the processes, and remove the database unless it is to be kept."""
        self.end_processes()
        if not self.keeps_database:
            self.db.client.drop_database(self.db.name)
        self.db.client.close()

    def _start(self, name: str, *arguments: str, **settings: str) -> Child:
        return self.start(name, "cli.main", *arguments, **settings)

    def start(self, name: str, module: str, *arguments: str, **settings: str) -> Child:
        """Run a module as a child of this system, with its settings."""
        log = self.folder / "logs" / f"{name}.log"
        child = ForkedChild(
            name, module, arguments, log=log, env={**self.environment, **settings}, server=fork_server()
        )
        self.children.append(child)
        return child


@contextmanager
def a_system(folder: Path, servers: Servers, *, database: str, **settings: str) -> Iterator[System]:
    system = System(folder, servers, database=database, **settings)
    try:
        yield system
    finally:
        system.close()


def peak_memory_mb(pid: int) -> float:
    """The most memory that a process ever had in use (VmHWM), in MB of 1,000,000 bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found, status
    return int(found[1]) * 1024 / 1_000_000


def a_schedule_body(**changes: Any) -> Mapping[str, Any]:
    """A whole, valid body for POST /v1/schedules."""
    body: dict[str, Any] = {
        "name": "Weekday digest",
        "from": f"Ann <ann@{DOMAIN}>",
        "subject": "Hello {{ name }}",
        "text": "Hello {{ name }} in {{ city }}",
        "html": "<p>Hello {{ name }}, <a href='https://example.org/read'>read on</a></p>",
        "recipients": [{"address": "bo@example.org", "name": "Bo", "variables": {"city": "Rome"}}],
        "recurrence": {"kind": "cron", "expression": "0 9 * * 1-5", "time_zone": "Europe/Berlin"},
    }
    return body | changes


def _healthy(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False
