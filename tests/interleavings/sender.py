"""One sender process: the parts of `sender/` on stand-ins for the servers, with the director in the place of threads.

Each thread of a sender repeats a step. `Parts` puts them together as in a real process, and none of its threads is
started: the director decides whose step goes on. Only waiting is done in its own way here, and the heartbeat, which
comes whenever time passes (world.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from config.settings import Settings, read_settings
from mailroom.assembly.sender import SenderServices
from mailroom.domain.circuits import Circuit
from mailroom.domain.errors import Unavailable
from mailroom.services.reconciliation.conclusions import Policy
from mailroom.storage.body_files.homes import BodyFiles
from sender.caller import Caller
from sender.duties import keep_alive
from sender.fencer import Fencer
from sender.parts import Parts
from sender.recorder import Recorder
from tests.interleavings.director import Director, Machine
from tests.interleavings.etcd import TTL_S, MemoryLeases
from tests.interleavings.fences import MemoryFences, MemoryHolds, MemoryMirror
from tests.interleavings.provider import Connection, MemoryAdapter

CALLS: Final = 4
BATCH_SIZE: Final = 2


class ClosedCircuits:
    """Every provider takes work, whatever became of the calls before."""

    failures = 10

    def look(self, names: Sequence[str]) -> dict[str, Circuit]:
        return {name: Circuit() for name in names}

    def report(self, _counts: Mapping[str, tuple[int, int]]) -> dict[str, str]:
        return {}

    def probe(self, _name: str) -> bool:
        return False

    def rest(self, *_: object) -> None: ...


class Sender:
    """Six threads that share their hands: planner, loop, fencer, caller, recorder and reconciler."""

    def __init__(
        self,
        machine: Machine,
        director: Director,
        db: Any,
        fences: MemoryFences,
        leases: MemoryLeases,
        adapters: Sequence[MemoryAdapter],
        policy: Policy,
        *,
        mail_lanes: int = 0,
    ) -> None:
        self._machine, self._director, self.leases, self.adapters = machine, director, leases, adapters
        self._services = SenderServices(
            settings=replace(SETTINGS, sending=replace(SETTINGS.sending, mail_lanes=mail_lanes)),
            db=db,
            bodies=BodyFiles(db),
            leases=leases,
            fences=fences,
            holds=MemoryHolds(fences),
            mirror=MemoryMirror(fences),
            circuits=ClosedCircuits(),
            rates=None,  # these are for limits
            adapters={adapter.name: adapter for adapter in adapters},
            policy=policy,
        )
        self._parts = Parts(self._services, sender=machine.name)
        self.in_flight = self._parts.in_flight

    @property
    def connections(self) -> list[Connection]:
        """All that were ever made."""
        return [connection for adapter in self.adapters for connection in adapter.connections]

    def threads(self) -> dict[str, Callable[[], None]]:
        parts = self._parts
        return {
            "planner": lambda: self._for_ever(parts.planner.step),
            "loop": lambda: self._for_ever(self._round),
            "fencer": lambda: self._as_it_comes(parts.fencer),
            "caller": lambda: self._as_it_comes(parts.caller),
            "recorder": lambda: self._as_it_comes(parts.recorder),
            "reconciler": lambda: self._for_ever(parts.reconciler.step),
        }

    def beat(self) -> None:
        """The lease's heartbeat. A loop that lives goes round all the time."""
        keep_alive(self._services, idle_s=lambda: 0.0)

    def close(self) -> None:
        self._parts.caller.close()

    def _round(self) -> bool:
        if self._machine.missed_a_beat:
            self._machine.missed_a_beat = False
            self._director.step("etcd", "keep alive", self.beat, writes=False)
        return self._parts.loop.step()

    def _for_ever(self, step: Callable[[], bool]) -> None:
        while True:
            try:
                worked = step()
            except Unavailable:
                worked = False
            if not worked:
                self._director.wait_for_change()

    def _as_it_comes(self, part: Fencer | Caller | Recorder) -> None:
        while True:
            self._director.wait_for(lambda: part.has_work)
            if part.step() is False:
                self._director.wait_for_change()


def _settings() -> Settings:
    environment = {
        "MAILROOM_MONGO_URL": "mongodb://none/mailroom",
        "MAILROOM_ETCD_URL": "http://none:2379",
        "MAILROOM_REDIS_URL": "redis://none/0",
        "MAILROOM_SECRET_KEY": "of-nobody-and-for-nothing",
        "MAILROOM_LEASE_TTL": str(TTL_S),
        "MAILROOM_BATCH_SIZE": str(BATCH_SIZE),
        "MAILROOM_SENDER_CONCURRENCY": str(CALLS),
        "MAILGUN_API_KEY": "none",
        "MAILGUN_DOMAIN": "mg.example.com",
        "MAILGUN_SIGNING_KEY": "none",
    }
    return read_settings(environment, dotenv=None)


SETTINGS: Final = _settings()
