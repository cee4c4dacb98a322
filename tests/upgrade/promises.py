"""What the APIs have promised: each mark of the driver's own, to whom it goes, and how often."""

import threading
from collections import Counter
from typing import Any, Final

from tests.support.system import DOMAIN

_REFUSED_ONE_IN: Final = 50


class Promises:
    """Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.copies: Counter[tuple[str, str]] = Counter()  # (mark, address) -> how often it must go out
        self.schedules: list[str] = []
        self.runs: list[str] = []
        self.emails: list[str] = []

    def schedule(self, id_: str) -> None:
        with self._lock:
            self.schedules.append(id_)

    def run(self, id_: str) -> None:
        with self._lock:
            self.runs.append(id_)

    def email(self, id_: str, mark: str, address: str) -> None:
        with self._lock:
            self.emails.append(id_)
            self.copies[mark, address] += 1

    def people(self, people: list[dict[str, Any]], *, times: int = 1) -> None:
        """Each of these people gets the mark that stands beside the address."""
        with self._lock:
            for person in people:
                self.copies[person["variables"]["mark"], person["address"]] += times


def people(campaign: str, count: int) -> list[dict[str, Any]]:
    """Recipients with marks; some of them are refused by the provider."""
    return [
        {
            "address": refused_address(n) if n % _REFUSED_ONE_IN == 0 else f"p{n}-{campaign}@example.org",
            "variables": {"mark": f"{campaign}-{n}"},
        }
        for n in range(count)
    ]


def refused_address(number: int = 0) -> str:
    """An address that the provider refuses."""
    return f"refused{number}@example.org"


def all_refused(recipients: int) -> list[str]:
    """For the provider: all such addresses in campaigns of so many people."""
    return [refused_address(number) for number in range(0, max(1, recipients), _REFUSED_ONE_IN)]


def is_refused(address: str) -> bool:
    return address.startswith("refused")


def a_body(name: str, whom: dict[str, Any], recurrence: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A schedule whose mails have their marks as subjects."""
    texts = {
        "subject": "{{ mark }}",
        "text": "Hello",
        "html": "<p>Hello, <a href='https://example.org/'>read on</a></p>",
    }
    return {"name": name, "from": f"Ann <ann@{DOMAIN}>", **texts, **whom, "recurrence": recurrence, **more}
