"""An audience whose contacts are added and removed all the time, and a schedule that goes to it every few seconds.

The driver writes down when each contact was certainly in it, and when certainly not. Each run must have gone to
everybody who was in it when it was due, once, and to nobody who was not.
"""

import random
from collections.abc import Iterator, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tests.chaos import witness
from tests.chaos.histories import IN, OUT, History
from tests.chaos.stories import Finding, Gap, Story, Told, Wrong
from tests.chaos.witness import Copy
from tests.support.system import DOMAIN, wait_for

if TYPE_CHECKING:
    from tests.chaos.world import World

MARK: Final = "living"  # the subject of its mails
_EVERY_S: Final = 8
_PEOPLE: Final = 12


class Living(Story):
    """Changes the audience until it is told to end."""

    name_shown = "an audience that changes"
    pause_s = 0.2

    def __init__(self, world: "World", rng: random.Random) -> None:
        super().__init__(world, rng)
        self.people = {f"l{number}@example.org": History() for number in range(_PEOPLE)}
        self.schedule = self._audience = ""
        self.changes = 0

    def prepare(self) -> None:
        """The audience with half of the people in it, and the schedule."""
        made = self.world.system.call("POST", "/v1/audiences", json={"name": MARK}, headers={"Idempotency-Key": MARK})
        self._audience = made.json()["id"]
        for address in list(self.people)[: _PEOPLE // 2]:
            self._change(address, IN)
        body = {
            "name": MARK,
            "from": f"Ann <ann@{DOMAIN}>",
            "subject": MARK,
            "text": "Hello {{ name }}",
            "audience": self._audience,
            "recurrence": {"kind": "every", "seconds": _EVERY_S, "time_zone": "UTC"},
            "misfire": {"policy": "run_all", "grace_s": 3600},
        }
        made = self.world.system.call("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": MARK})
        self.schedule = made.json()["id"]

    def step(self) -> None:
        address = self.rng.choice(list(self.people))
        self._change(address, OUT if self.people[address].newest == {IN} else IN)

    def put_back(self, gap: Gap) -> None:
        for history in self.people.values():
            history.doubt_from(gap.copied_at)

    def end(self) -> None:
        """No more changes, and no more runs."""
        self.finish()
        wait_for(self._is_over, within_s=60, what="the schedule to the living audience has no more runs")

    def judge(self, every: Sequence[Copy]) -> Iterator[Finding]:
        copies = witness.times_of(copy for copy in every if copy.subject == MARK)
        for run, moment in self._runs().items():
            unknown = {
                doc["address"]
                for doc in self.world.system.db.messages.find({"run_id": run, "state": "unknown"}, {"address": 1})
            }
            for address, history in self.people.items():
                where, times = f"{run} {address}", copies[run, address]
                if times == 0 and address in unknown:
                    yield Finding(self.unknown_to(moment), where)
                elif found := membership(where, times, history.at(moment)):
                    yield found

    def told(self, every: Sequence[Copy]) -> Told:
        mails = sum(copy.subject == MARK for copy in every)
        return Told(len(self._runs()), mails, self.changes, "contacts added and removed")

    def _runs(self) -> dict[str, float]:
        """When each run was due."""
        ran = {"schedule_id": self.schedule, "state": {"$ne": "skipped"}}
        return {doc["_id"]: doc["due_at"].timestamp() for doc in self.world.system.db.runs.find(ran, {"due_at": 1})}

    def _change(self, address: str, to: str) -> None:
        history, path = self.people[address], f"/v1/audiences/{self._audience}/contacts/{address}"
        history.asked(to)
        answer = self.ask("PUT", path, json={"name": address[:3]}) if to == IN else self.ask("DELETE", path)
        if answer is not None and answer.status_code in (200, 201, 204, 404):
            history.answered(to)
            self.changes += 1

    def _is_over(self) -> bool:
        """By another rule, not by a pause: that would hold the runs that are under way."""
        far = (datetime.now(UTC) + timedelta(days=300)).replace(microsecond=0, tzinfo=None).isoformat()
        rule = {"recurrence": {"kind": "once", "at": far, "time_zone": "UTC"}}
        answer = self.ask("PATCH", f"/v1/schedules/{self.schedule}", json=rule)
        return answer is not None and answer.status_code == 200


def membership(where: str, times: int, may: Set[str]) -> Finding | None:
    """What is wrong with so many copies to a contact of whom this was known as the run began; OUT: not in it."""
    if times > 1:
        return Finding(Wrong.DOUBLED, f"{where}: {times} times")
    if times == 0 and OUT not in may:
        return Finding(Wrong.LOST, f"{where}: was in the audience")
    if times == 1 and may == {OUT}:
        return Finding(Wrong.DOUBLED, f"{where}: was not in the audience")
    return None
