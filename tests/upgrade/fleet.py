"""The processes, each in a place of its own: who stands in it changes, its name and its port stay."""

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import requests

from local.children import Child
from local.ports import free_port
from tests.support.campaigns import holder_name
from tests.support.system import System
from tests.upgrade.versions import Version

_START_S: Final = 120.0
_GRACE_S: Final = 60.0
_PORT_OF: Final = {"api": "MAILROOM_API_PORT", "web": "MAILROOM_WEB_PORT"}


@dataclass(eq=False)
class Place:
    """One process of the fleet."""

    kind: str
    number: int
    port: int = field(default_factory=free_port)  # of an API or of pages
    generation: int = 0
    version: str = ""
    child: Child | None = None

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.number}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True)
class Replaced:
    """How long it took a process to end, and the next one to be there. Its return code is 0 after an end in order."""

    place: str
    by: str
    ended_s: float
    there_s: float
    code: int


class Fleet:
    """Processes of one system. Only the thread that starts them replaces them: they end with it."""

    def __init__(self, system: System, *, senders: int) -> None:
        self._system = system
        kinds = {"api": 2, "web": 2, "sender": senders}
        self.places = [Place(kind, number) for kind, count in kinds.items() for number in range(1, count + 1)]
        self.sent_by: dict[str, str] = {}  # a sender's id -> its version

    def start(self, version: Version) -> None:
        """A process of this version in each place."""
        for place in self.places:
            self._start(place, version)
        for place in self.places:
            self._wait_for(place)

    def replace(self, place: Place, version: Version, *, by: signal.Signals) -> Replaced:
        """End a process by the signal, and start one of the version in its place. Returns once that one serves."""
        ended, began = place.child, time.monotonic()
        assert ended is not None
        ended.stop(grace_s=_GRACE_S, by=by)
        ended_s = time.monotonic() - began
        self._start(place, version)
        self._wait_for(place)
        return Replaced(place.name, version.name, ended_s, time.monotonic() - began, ended.process.returncode)

    def of(self, kind: str) -> Sequence[Place]:
        return [place for place in self.places if place.kind == kind]

    def _start(self, place: Place, version: Version) -> None:
        place.generation += 1
        settings = {_PORT_OF[place.kind]: str(place.port)} if place.kind in _PORT_OF else {}
        name = f"{place.name}-{place.generation}-{version.name}"
        place.child = version.start(self._system, name, place.kind, **settings)
        place.version = version.name

    def _wait_for(self, place: Place) -> None:
        child = place.child
        assert child is not None
        child.wait_until(lambda: _serves(place, child), timeout_s=_START_S)
        if place.kind == "sender":
            self.sent_by[holder_name(child)] = place.version


def _serves(place: Place, child: Child) -> bool:
    if place.kind == "sender":
        return "sender_started" in child.log.read_text(errors="replace")
    try:
        return requests.get(f"{place.url}/health", timeout=2).status_code == 200
    except requests.RequestException:
        return False
