"""An audience whose contacts are added and removed all the time, and a schedule that goes to it every few seconds.

The driver writes down when each contact was certainly in it, and when certainly not: between a request and its answer,
nobody knows. Each run must have gone to everybody who was in it when it was due, once, and to nobody who was not.
"""

import json
import random
import threading
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import requests

from tests.support.system import DOMAIN, wait_for

if TYPE_CHECKING:
    from tests.chaos.world import World

MARK: Final = "living"  # the subject of its mails
_EVERY_S: Final = 8
_PEOPLE: Final = 12
_PAUSE_S: Final = 0.2


class Is(StrEnum):
    IN = "in"
    OUT = "out"
    EITHER = "either"  # a change was asked for and is not answered, or may be lost with a copy


@dataclass(slots=True)
class History:
    """What was known of a contact, from when on."""

    since: list[float] = field(default_factory=lambda: [0.0])
    states: list[Is] = field(default_factory=lambda: [Is.OUT])

    def now(self, state: Is) -> None:
        self.since.append(time.time())
        self.states.append(state)

    def at(self, moment: float) -> Is:
        return self.states[bisect_right(self.since, moment) - 1]

    def doubt_from(self, moment: float) -> None:
        """What was said since then may be lost."""
        last = bisect_right(self.since, moment)
        self.states[last:] = [Is.EITHER] * len(self.states[last:])


class Living(threading.Thread):
    """Changes the audience until it is told to end."""

    def __init__(self, world: "World", rng: random.Random) -> None:
        super().__init__(daemon=True, name="living")
        self._world, self._rng = world, rng
        self._ending, self._at_rest = threading.Event(), threading.Lock()
        self.people = {f"l{number}@example.org": History() for number in range(_PEOPLE)}
        self.schedule = self._audience = ""
        self.changes = 0

    def prepare(self) -> None:
        """The audience with half of the people in it, and the schedule. Everything must be well."""
        made = self._call("POST", "/v1/audiences", json={"name": MARK}, headers={"Idempotency-Key": MARK})
        self._audience = made.json()["id"]
        for address in list(self.people)[: _PEOPLE // 2]:
            self._change(address, Is.IN)
        body = {
            "name": MARK,
            "from": f"Ann <ann@{DOMAIN}>",
            "subject": MARK,
            "text": "Hello {{ name }}",
            "audience": self._audience,
            "recurrence": {"kind": "every", "seconds": _EVERY_S, "time_zone": "UTC"},
            "misfire": {"policy": "run_all", "grace_s": 3600},
        }
        self.schedule = self._call("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": MARK}).json()["id"]

    def run(self) -> None:
        while not self._ending.wait(_PAUSE_S):
            address = self._rng.choice(list(self.people))
            with self._at_rest:
                state = self.people[address].states[-1]
                self._change(address, Is.OUT if state is Is.IN else Is.IN)

    def put_back(self, since: float) -> None:
        """MongoDB was put back to a copy of this time."""
        for history in self.people.values():
            history.doubt_from(since - 1)

    def rest(self) -> threading.Lock:
        """While it is held nothing is changed."""
        return self._at_rest

    def end(self) -> None:
        """No more changes, and no more runs."""
        self._ending.set()
        self.join(60)
        wait_for(self._is_over, within_s=60, what="the schedule to the living audience has no more runs")

    def judge(self) -> Iterator[tuple[str, str]]:
        """What is wrong: `doubled`, `lost`, `unknown` or `wrong`, and where. Everything must be quiet."""
        copies = self._copies()
        unknown = {
            (doc["run_id"], doc["address"])
            for doc in self._world.system.db.messages.find({"state": "unknown"}, {"run_id": 1, "address": 1})
        }
        for run in self._runs():
            moment = run["due_at"].timestamp()
            for address, history in self.people.items():
                times, known = copies[run["_id"], address], history.at(moment)
                where = f"{run['_id']} {address}"
                if times > 1:
                    yield "doubled", f"{where}: {times} times"
                elif times == 0 and (run["_id"], address) in unknown:
                    yield "unknown", where
                elif times == 0 and known is Is.IN:
                    yield "lost", f"{where}: was in the audience"
                elif times == 1 and known is Is.OUT:
                    yield "doubled", f"{where}: was not in the audience"

    def counted(self) -> tuple[int, int]:
        """Returns (mails that went out, runs)."""
        return sum(self._copies().values()), len(self._runs())

    def _runs(self) -> list[dict[str, Any]]:
        ran = {"schedule_id": self.schedule, "state": {"$ne": "skipped"}}
        return list(self._world.system.db.runs.find(ran, {"due_at": 1}))

    def _copies(self) -> Counter[tuple[str, str]]:
        """How often each mail went out, by run and address, over both providers' records."""
        mails = [mail for mail in self._world.system.simulator.mails() if mail["subject"] == MARK]
        copies = Counter((json.loads(mail["user_variables"])["run"], mail["recipient"]) for mail in mails)
        by_backup = [kept for kept in self._world.backup.kept if kept.subject == MARK]
        return copies + Counter(
            (kept.ids["mailroom_run"], address) for kept in by_backup for address in kept.recipients
        )

    def _change(self, address: str, to: Is) -> None:
        history, path = self.people[address], f"/v1/audiences/{self._audience}/contacts/{address}"
        history.now(Is.EITHER)
        try:
            joins = to is Is.IN
            answer = self._call("PUT", path, json={"name": address[:3]}) if joins else self._call("DELETE", path)
        except requests.RequestException:
            return
        if answer.status_code in (200, 201, 204, 404):
            history.now(to)
            self.changes += 1

    def _is_over(self) -> bool:
        """By another rule, not by a pause: that would hold the runs that are under way."""
        far = (datetime.now(UTC) + timedelta(days=300)).replace(microsecond=0, tzinfo=None).isoformat()
        rule = {"recurrence": {"kind": "once", "at": far, "time_zone": "UTC"}}
        try:
            return self._call("PATCH", f"/v1/schedules/{self.schedule}", json=rule).status_code == 200
        except requests.RequestException:
            return False

    def _call(self, method: str, path: str, **rest: Any) -> requests.Response:
        return self._world.system.call(method, path, **rest)
