"""Single mails as tests see them from outside."""

import base64
from typing import Any

from tests.support.system import DOMAIN, System


def an_email(**changes: Any) -> dict[str, Any]:
    """A whole, valid body for POST /v1/emails."""
    body: dict[str, Any] = {
        "from": f"Shop <shop@{DOMAIN}>",
        "to": ["Bo <bo@example.org>"],
        "subject": "Your new password",
        "text": "Follow this link.",
    }
    return body | changes


def hand_in(system: System, *, key: str | None = None, **changes: Any) -> str:
    """Hand a mail in through the API. Returns its id."""
    headers = {"Idempotency-Key": key} if key else {}
    answer = system.call("POST", "/v1/emails", json=an_email(**changes), headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def shown(system: System, email_id: str) -> dict[str, Any]:
    answer = system.call("GET", f"/v1/emails/{email_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def status(system: System, email_id: str) -> str:
    return str(shown(system, email_id)["status"])


def envelope(system: System) -> list[str]:
    """Everybody to whom a copy went, by the simulator's record."""
    return sorted(mail["recipient"] for mail in system.simulator.mails())


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()
