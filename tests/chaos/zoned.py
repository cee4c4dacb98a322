"""A campaign in each recipient's own time, again and again, to contacts who move between time zones, join and leave.

The zones are some seconds apart (time_zones.py), so those of each edition fall due one after the other. One contact
stays in the earliest zone: there the run begins, and the audience counts as it was at this instant. The driver writes
down which zone each contact had when, and reckons the instants from the offsets itself. Each contact must get the mail
once, not before the instant of the zone that it had as the run began, and in that instant's slice.
"""

import random
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import requests

from tests.chaos import witness
from tests.chaos.histories import OUT, History
from tests.chaos.living import membership
from tests.chaos.stories import Finding, Gap, Story, Told, Wrong
from tests.chaos.time_zones import AHEAD_S, EARLIEST
from tests.chaos.witness import Copy
from tests.support.system import DOMAIN, wait_for

if TYPE_CHECKING:
    from tests.chaos.world import World

MARK: Final = "zoned"  # the subject of its mails, and the beginning of its schedules' names
_PEOPLE: Final = 12
_STAYS: Final = "stays@example.org"
_EVERY_S: Final = 15.0  # an edition
_NOTICE_S: Final = 5.0  # from an edition's making until it begins
_NOWHERE: Final = ""  # a contact without a time zone: as UTC


@dataclass(slots=True)
class Edition:
    """A schedule that goes out once. `wall`: the wall time in UTC; `promised`: when it was."""

    schedule: str
    wall: float
    promised: float

    @property
    def begins(self) -> float:
        """When its wall time comes in the earliest zone."""
        return instant_of(EARLIEST, self.wall)

    @property
    def begins_by(self) -> float:
        """An edition that is made later begins as it is made."""
        return max(self.begins, self.promised)


@dataclass(frozen=True, slots=True)
class ZonedRun:
    """What came of an edition. `began`: as the product has it; `taken`: when providers took each contact's mails;
    `slices`: the instant in whose slice each mail went, as the product has it; `unknown`: of whom nobody knows."""

    id: str
    began: float
    taken: Mapping[str, Sequence[float]]
    slices: Mapping[str, float]
    unknown: Set[str] = frozenset()


def instant_of(zone: str, wall: float) -> float:
    """When the clocks of a zone show a wall time, given as they show it in UTC."""
    return wall - AHEAD_S.get(zone, 0)


def judge_run(edition: Edition, run: ZonedRun, people: Mapping[str, History], *, unknown: Wrong) -> Iterator[Finding]:
    """Hold a run to what was asked. `unknown`: what it is that a mail of this run is unknown."""
    if not edition.begins <= run.began <= edition.begins_by:
        yield Finding(
            Wrong.WRONG, f"{run.id} began {run.began - edition.begins:+.3f} s from its earliest zone's instant"
        )
    for address, history in people.items():
        where, taken = f"{run.id} {address}", run.taken.get(address, ())
        may = history.between(edition.begins, edition.begins_by)
        if not taken and address in run.unknown:
            yield Finding(unknown, where)
        elif found := membership(where, len(taken), may):
            yield found
        elif taken:
            yield from _at_its_time(where, taken[0], run.slices.get(address), edition, may)


def _at_its_time(where: str, taken: float, slice_: float | None, edition: Edition, may: Set[str]) -> Iterator[Finding]:
    """Who may not have been in the audience may be in no slice: the mail was of a version that MongoDB lost."""
    zones = may - {OUT}
    instants = sorted(instant_of(zone, edition.wall) for zone in zones)
    if taken < instants[0]:
        yield Finding(
            Wrong.WRONG, f"{where}: {instants[0] - taken:.3f} s before the time of {', '.join(sorted(zones))}"
        )
    if slice_ not in instants and not (slice_ is None and OUT in may):
        yield Finding(Wrong.WRONG, f"{where}: in the slice of {slice_}, not of {', '.join(sorted(zones))}")


class Zoned(Story):
    """Moves contacts until it is told to end; editions are made between the faults."""

    name_shown = "in each recipient's own time"

    def __init__(self, world: "World", rng: random.Random) -> None:
        super().__init__(world, rng)
        self.people = {_STAYS: History()} | {f"z{number}@example.org": History() for number in range(_PEOPLE)}
        self.editions: list[Edition] = []
        self._audience, self._next, self._changes, self._made = "", 0.0, 0, 0

    def prepare(self) -> None:
        made = self.world.system.call("POST", "/v1/audiences", json={"name": MARK}, headers={"Idempotency-Key": MARK})
        self._audience = made.json()["id"]
        self._move(_STAYS, EARLIEST)
        for address in list(self.people)[1::2]:
            self._move(address, self.rng.choice([*AHEAD_S, _NOWHERE]))

    def step(self) -> None:
        address = self.rng.choice([one for one in self.people if one != _STAYS])
        leaves = self.people[address].newest != {OUT} and self.rng.random() < 0.25
        self._move(address, OUT if leaves else self.rng.choice([*AHEAD_S, _NOWHERE]))

    def beat(self) -> None:
        """Make the next edition, if it is time. No copy lacks one that was promised: a schedule whose time is over
        could not be made again."""
        now = datetime.now(UTC)
        if now.timestamp() < self._next:
            return
        self._next, self._made = now.timestamp() + _EVERY_S, self._made + 1
        wall = (now + timedelta(seconds=_NOTICE_S + AHEAD_S[EARLIEST])).replace(microsecond=0)
        name, body = f"{MARK}-{self._made}", self._body(f"{MARK}-{self._made}", wall)

        def asked() -> requests.Response | None:
            return self.ask("POST", "/v1/schedules", json=body, headers={"Idempotency-Key": name})

        (answer,) = wait_for(lambda: _decided(asked()), within_s=60, what="an edition is promised or refused")
        if answer.status_code != 422:  # its time was over before it could be made
            self.editions.append(Edition(answer.json()["id"], wall.timestamp(), datetime.now(UTC).timestamp()))

    def end(self) -> None:
        self.finish()

    def put_back(self, gap: Gap) -> None:
        for history in self.people.values():
            history.doubt_from(gap.copied_at)

    def judge(self, every: Sequence[Copy]) -> Iterator[Finding]:
        taken = witness.by_run(copy for copy in every if copy.subject == MARK)
        for edition in self.editions:
            run = self._run_of(edition, taken)
            if run is None:
                yield Finding(Wrong.LOST, f"{edition.schedule} has no run")
            else:
                yield from judge_run(edition, run, self.people, unknown=self.unknown_to(edition.begins))

    def told(self, every: Sequence[Copy]) -> Told:
        mails = sum(copy.subject == MARK for copy in every)
        return Told(len(self.editions), mails, self._changes, "contacts moved, joined, left")

    def _run_of(self, edition: Edition, taken: Mapping[str, Mapping[str, Sequence[float]]]) -> ZonedRun | None:
        db = self.world.system.db
        run = db.runs.find_one({"schedule_id": edition.schedule, "state": {"$ne": "skipped"}})
        if run is None:
            return None
        due = {
            doc["_id"]: doc["due_at"].timestamp() for doc in db.dispatches.find({"run_id": run["_id"]}, {"due_at": 1})
        }
        rows = list(db.messages.find({"run_id": run["_id"]}, {"address": 1, "state": 1, "dispatch_id": 1}))
        return ZonedRun(
            id=run["_id"],
            began=run["recipient_time"]["starts_at"].timestamp(),
            taken=taken.get(run["_id"], {}),
            slices={row["address"]: due[row["dispatch_id"]] for row in rows if row.get("dispatch_id") in due},
            unknown={row["address"] for row in rows if row["state"] == "unknown"},
        )

    def _move(self, address: str, to: str) -> None:
        """Let a contact have this zone, or leave."""
        history, path = self.people[address], f"/v1/audiences/{self._audience}/contacts/{address}"
        history.asked(to)
        body = {"name": address[:3]} | ({"time_zone": to} if to else {})
        answer = self.ask("DELETE", path) if to == OUT else self.ask("PUT", path, json=body)
        if answer is not None and answer.status_code in (200, 201, 204, 404):
            history.answered(to)
            self._changes += 1

    def _body(self, name: str, wall: datetime) -> dict[str, Any]:
        return {
            "name": name,
            "from": f"Ann <ann@{DOMAIN}>",
            "subject": MARK,
            "text": "Hello {{ name }}",
            "audience": self._audience,
            "delivery": "recipient_time",
            "default_time_zone": "UTC",
            "recurrence": {"kind": "once", "at": wall.replace(tzinfo=None).isoformat(), "time_zone": "UTC"},
            "misfire": {"policy": "skip", "grace_s": 3600},
        }


def _decided(answer: requests.Response | None) -> Sequence[requests.Response]:
    """The answer, if it is a promise or a refusal."""
    return [answer] if answer is not None and answer.status_code in (200, 201, 422) else []
