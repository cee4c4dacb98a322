"""What the driver asks of the system, and the marks by which it counts.

Each recipient of each schedule has a mark, and each schedule is run once, by a run-now that the API answered with 2xx.
Beside these a schedule that is due every few seconds has a mark of its own.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import requests
from pymongo.errors import PyMongoError

from tests.support.system import DOMAIN, System, wait_for
from tests.support.vendors import SendGrid

_AHEAD: Final = 0.1
_MAILS_AT_ONCE: Final = 20
_MOST_WAITING: Final = 300
_WAITING: Final = {"lane": {"$gt": ""}, "state": {"$in": ["pending", "sending", "in_doubt"]}}
BEAT_S: Final = 2
BEATS: Final = 10
BEAT: Final = "beat"  # the subject of the recurring schedule's mails


@dataclass(slots=True)
class Asked:
    """What the driver asked for and was promised: the marks of each schedule whose run was answered with 2xx."""

    marks: dict[str, list[str]] = field(default_factory=dict)  # by schedule
    answered: dict[str, float] = field(default_factory=dict)  # schedule -> when its run was promised
    refused: set[str] = field(default_factory=set)  # addresses that the provider refuses
    beats: int = 0  # due instants of the recurring schedules
    mails: dict[str, list[str]] = field(default_factory=dict)  # single mails by their marks: to whom each goes
    promised: dict[str, tuple[str, float]] = field(default_factory=dict)  # mark -> its id, and when it was answered
    resolved: int = 0  # dispatches of a provider that cannot be asked, of which a person has said what became of them
    requeued: int = 0  # dispatches that failed after three crashes, and that a person has sent again


class Asks:
    """Requests to the API, repeated by whoever asks until they are promised."""

    def __init__(self, system: System, backup: SendGrid) -> None:
        self._system, self._backup = system, backup
        self.asked = Asked()
        self._naming = threading.Lock()
        self._beat_until = datetime.min.replace(tzinfo=UTC)

    def much_waits(self) -> bool:
        """So much that more would only wait behind it; or MongoDB does not tell."""
        try:
            return self._system.db.dispatches.count_documents(_WAITING, limit=_MOST_WAITING) == _MOST_WAITING
        except PyMongoError:
            return True

    def prepare(self, *, schedules: int, recipients: int) -> None:
        """Schedules with their marks, and one address in some of them that the provider refuses."""
        far = (datetime.now(UTC) + timedelta(days=300)).replace(microsecond=0, tzinfo=None).isoformat()
        for number in range(schedules):
            people = [
                {"address": f"p{number}-{n}@example.org", "variables": {"mark": f"m{number}-{n}"}}
                for n in range(recipients)
            ]
            self.asked.refused |= {f"p{number}-{n}@example.org" for n in range(0, recipients, 50)}
            body = self._body(f"s{number}", people, {"kind": "once", "at": far, "time_zone": "UTC"})
            made = self._system.call("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": f"s{number}"})
            made.raise_for_status()
            self.asked.marks[made.json()["id"]] = [person["variables"]["mark"] for person in people]
        self._system.simulator.turn(refused_addresses=sorted(self.asked.refused))
        self._backup.refused_addresses = self.asked.refused

    def prepare_mails(self, count: int) -> None:
        """Single mails to two recipients each, with their marks; some have one that the providers refuse."""
        for number in range(count):
            mark = f"e{number}"
            self.asked.mails[mark] = [f"{mark}-{n}@example.org" for n in (1, 2)]
            if number % 25 == 0:
                self.asked.refused.add(self.asked.mails[mark][0])

    def more_mails(self, count: int) -> list[str]:
        """The marks of single mails beyond those that were prepared, which are still to be handed in."""
        with self._naming:
            first = len(self.asked.mails)
            marks = [f"e{number}" for number in range(first, first + count)]
            for mark in marks:
                self.asked.mails[mark] = [f"{mark}-{n}@example.org" for n in (1, 2)]
        return marks

    def hand_in_more(self, count: int) -> bool:
        """Single mails beyond those that were prepared, for as many lanes as they happen to fall into."""
        marks = self.more_mails(count)
        return bool(wait_for(lambda: self.hand_in(marks), within_s=60, what="more mails are promised"))

    def beat(self) -> None:
        """While the last recurring schedule is over: begin another one, of five recipients and so many instants."""
        if datetime.now(UTC) < self._beat_until:
            return
        first = (datetime.now(UTC) + timedelta(seconds=4)).replace(microsecond=0)
        name = f"beat-{first:%H%M%S}"
        people = [{"address": f"beat-{n}@example.org", "variables": {"mark": BEAT}} for n in range(5)]
        rule = {
            "kind": "every",
            "seconds": BEAT_S,
            "time_zone": "UTC",
            "starts_at": first.isoformat(),
            "max_runs": BEATS,
        }
        body = self._body(name, people, rule) | {"misfire": {"policy": "run_all", "grace_s": 3600}}
        wait_for(lambda: self._promised(name, body), within_s=60, what="the recurring schedule is promised")
        self.asked.beats += BEATS
        self._beat_until = first + timedelta(seconds=BEAT_S * (BEATS - 1))

    def _promised(self, name: str, body: dict[str, Any]) -> bool:
        try:
            answer = self._system.call("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": name})
        except requests.RequestException:
            return False
        return answer.status_code in (200, 201)

    @staticmethod
    def _body(name: str, people: list[dict[str, Any]], rule: dict[str, Any]) -> dict[str, Any]:
        sender, subject = f"Ann <ann@{DOMAIN}>", "{{ mark }}"
        return {
            "name": name,
            "from": sender,
            "subject": subject,
            "text": "Hello",
            "recipients": people,
            "recurrence": rule,
        }

    def ask(self, schedule: str) -> bool:
        """Have a schedule run, under its own key; repeated until it is promised. False if it was not, this time."""
        try:
            answer = self._system.call(
                "POST", f"/v1/schedules/{schedule}/run-now", headers={"Idempotency-Key": f"run-{schedule}"}
            )
        except requests.RequestException:
            return False
        if answer.status_code not in (200, 202):
            return False
        self.asked.answered[schedule] = time.time()
        return True

    def hand_in(self, marks: Sequence[str], *, priority: str | None = None) -> bool:
        """Hand single mails in, each under its own key, repeated until all are promised. False if not, this time.
        Without a priority for all of them each has its own, the same whenever it is asked for."""
        mails = [
            {
                "from": f"Shop <shop@{DOMAIN}>",
                "to": self.asked.mails[mark][:1],
                "bcc": self.asked.mails[mark][1:],
                "subject": mark,
                "text": "Hello",
                "priority": priority or ("high", "normal", "low")[int(mark.removeprefix("e")) % 3],
                "idempotency_key": mark,
            }
            for mark in marks
        ]
        try:
            answers = self._system.call("POST", "/v1/emails/batch", json={"emails": mails}).json()["items"]
        except (requests.RequestException, ValueError, KeyError):
            return False
        for mark, answer in zip(marks, answers, strict=True):
            if answer["code"] == 422:
                raise AssertionError(f"{mark} was refused: {answer['problem']}")
            if answer["code"] == 202:
                self.asked.promised[mark] = (answer["id"], time.time())
        return all(answer["code"] == 202 for answer in answers)


class Asking(threading.Thread):
    """Asks for one schedule after the other, somewhat ahead of the faults: there is always work to break."""

    def __init__(self, asks: Asks) -> None:
        super().__init__(daemon=True, name="asking")
        self._asks = asks
        self.paused = False
        self.progress = 0.0  # of the faults, from 0 to 1

    def run(self) -> None:
        asked = self._asks.asked
        asks: list[Callable[[], bool]] = [partial(self._asks.ask, schedule) for schedule in asked.marks]
        mails = list(asked.mails)
        for number, start in enumerate(range(0, len(mails), _MAILS_AT_ONCE)):
            asks.insert(
                number * 2 % (len(asks) + 1), partial(self._asks.hand_in, mails[start : start + _MAILS_AT_ONCE])
            )
        whole = len(asks)
        while asks:
            ahead = 1 - len(asks) / whole - self.progress
            if self.paused or ahead > _AHEAD or self._asks.much_waits() or not asks[0]():
                time.sleep(0.2)
            else:
                asks.pop(0)

    @property
    def through(self) -> bool:
        return not self.is_alive()
