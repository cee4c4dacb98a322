"""What a client sees: mails handed in over HTTPS and opened, and calls that go on while containers are killed."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests

from tests.compose.engine import Project
from tests.support.system import Simulator, wait_for

API: Final = "https://localhost:8443"
PAGES: Final = "https://localhost:8444"
_CALLERS: Final = 6


class Client:
    """A client with the first token, which trusts the edge's own certificate."""

    def __init__(self, project: Project, folder: Path) -> None:
        edge, api = project.containers("edge")[0], project.containers("api")[0]
        self.token = wait_for(lambda: first_token(project, api), within_s=60, what="the bootstrap has made a token")
        self._certificate = folder / "edge-certificate.pem"
        pem = project.execute(edge, "cat", "/data/edge.pem")
        self._certificate.write_text(pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n")
        self.simulator = Simulator(8025)

    def session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # which would put another list of authorities in the place of this one
        session.verify = str(self._certificate)
        session.headers["Authorization"] = f"Bearer {self.token}"
        return session


def first_token(project: Project, api: str) -> str:
    try:
        return project.execute(api, "cat", "/first/admin-token").strip()
    except RuntimeError:
        return ""


def a_mail(subject: str) -> dict[str, Any]:
    return {"from": "a@mg.example.com", "to": ["bo@example.org"], "subject": subject, "html": "<p>Hello</p>"}


def delivered_and_opened(client: Client) -> None:
    """One mail, to its end; and a page. Fails if it does not arrive."""
    with client.session() as session:
        answer = session.post(f"{API}/v1/emails", json=a_mail("first"), timeout=60)
        assert answer.status_code == 202, answer.text
        assert "max-age" in answer.headers["Strict-Transport-Security"]
        arrived = wait_for(
            lambda: [mail for mail in client.simulator.mails() if mail["subject"] == "first"],
            within_s=60,
            what="the mail is in the inbox",
        )
        client.simulator.open_mail(arrived[0]["id"])
        events = f"{API}/v1/emails/{answer.json()['id']}/events"
        wait_for(lambda: "opened" in session.get(events, timeout=60).text, within_s=60, what="its opening is told")
        page = session.get(f"{PAGES}/sign-in", timeout=60)
        assert re.match("__Host-mailroom=.*Secure", page.headers["Set-Cookie"])
        assert session.get(f"{API}/metrics", timeout=60).status_code == 404


@dataclass
class Load:
    """Single mails, each with a key; whoever gets no 2xx repeats once, with the same key."""

    client: Client
    promised: set[str] = field(default_factory=set)
    failed: list[str] = field(default_factory=list)
    repeated: Counter[str] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._go_on, args=(n,)) for n in range(_CALLERS)]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(120)

    def _go_on(self, caller: int) -> None:
        with self.client.session() as session:
            number = 0
            while not self._stop.wait(0.02):
                number += 1
                self._hand_in(session, f"load-{caller}-{number}")

    def _hand_in(self, session: requests.Session, mark: str) -> None:
        told = ""
        for attempt in range(2):
            try:
                answer = session.post(
                    f"{API}/v1/emails", json=a_mail(mark), headers={"Idempotency-Key": mark}, timeout=60
                )
                told = str(answer.status_code)
            except requests.RequestException as error:
                told = type(error).__name__
            if told.startswith("2"):
                self.promised.add(mark)
                return
            if attempt == 0:
                self.repeated[told] += 1
                time.sleep(1)
        self.failed.append(f"{mark}: {told}")


def counted(client: Client, load: Load, *, within_s: float) -> dict[str, Any]:
    """How the witness counts what was promised, once no more arrives."""

    def arrived() -> Counter[str]:
        return Counter(mail["subject"] for mail in client.simulator.mails() if mail["subject"].startswith("load-"))

    deadline = time.monotonic() + within_s
    while load.promised - arrived().keys() and time.monotonic() < deadline:
        time.sleep(1)
    found = arrived()
    return {
        "promised": len(load.promised),
        "lost": len(load.promised - found.keys()),
        "doubled": sum(count > 1 for count in found.values()),
        "failed for good": load.failed,
        "repeated once": dict(load.repeated),
    }


def under_load(client: Client, break_things: Callable[[], None], *, within_s: float) -> dict[str, Any]:
    """The figures after `break_things` was done under load."""
    load = Load(client)
    load.start()
    try:
        time.sleep(3)
        break_things()
        time.sleep(3)
    finally:
        load.end()
    return counted(client, load, within_s=within_s)
