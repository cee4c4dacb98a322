"""What a client sees: mails handed in over HTTPS, delivered and opened; caught by SMTP; and figures in Prometheus."""

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

import requests

from tests.compose.engine import Project
from tests.support.system import Simulator, wait_for

API: Final = "https://localhost:8443"
PAGES: Final = "https://localhost:8444"
_CATCHER: Final = "http://localhost:1080/email"
_PROMETHEUS: Final = "http://localhost:9090/api/v1/targets"


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


def caught_by_smtp(client: Client) -> None:
    """A mail that goes by SMTP while Mailgun is switched off is in the catcher. Fails if it does not arrive."""
    with client.session() as session:
        _switch(session, "mailgun", on=False)
        answer = session.post(f"{API}/v1/emails", json=a_mail("by SMTP"), timeout=60)
        assert answer.status_code == 202, answer.text
        wait_for(
            lambda: "by SMTP" in [mail["subject"] for mail in requests.get(_CATCHER, timeout=10).json()],
            within_s=60,
            what="the mail is in the catcher",
        )
        _switch(session, "mailgun", on=True)


def _switch(session: requests.Session, provider: str, *, on: bool) -> None:
    answer = session.patch(f"{API}/v1/providers/{provider}", json={"enabled": on}, timeout=60)
    assert answer.status_code == 200, answer.text


def scraped(processes: dict[str, int]) -> dict[str, int]:
    """How many processes of each part Prometheus reads. Fails if one of them is not there, or is down."""

    def up() -> dict[str, int]:
        found = requests.get(_PROMETHEUS, timeout=10).json()["data"]["activeTargets"]
        return dict(Counter(one["labels"]["job"] for one in found if one["health"] == "up"))

    return wait_for(lambda: (found := up()) == processes and found, within_s=120, what=f"Prometheus reads {processes}")
