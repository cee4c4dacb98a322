"""The second provider's webhooks, and what a person does about calls whose fate nobody else can tell."""

import contextlib
import threading
from typing import TYPE_CHECKING, Final

import requests

from mailroom.domain.dispatches.decisions import GIVES_UP

if TYPE_CHECKING:
    from tests.chaos.world import World

_TOLD_AT_ONCE: Final = 500


class Telling(threading.Thread):
    """The second provider's webhooks: what it took is told a moment later, until it is taken in."""

    def __init__(self, world: "World", *, every_s: float) -> None:
        super().__init__(daemon=True, name="telling")
        self._world, self._told, self._ending = world, 0, threading.Event()
        self._anew, self._every_s = threading.Event(), every_s

    def run(self) -> None:
        while not self._ending.wait(self._every_s):
            if self._anew.is_set():
                self._anew.clear()
                self._told = 0
            kept = self._world.backup.kept[self._told : self._told + _TOLD_AT_ONCE]
            with contextlib.suppress(requests.RequestException):
                if kept and self._world.backup.tell_of(kept, self._world.system.api_url, "processed").ok:
                    self._told += len(kept)

    @property
    def waiting(self) -> int:
        """How many calls are still to be told of."""
        return len(self._world.backup.kept) - (0 if self._anew.is_set() else self._told)

    def tell_all_again(self) -> None:
        """MongoDB was put back to a copy, which does not know what was told since."""
        self._anew.set()

    def finish(self) -> None:
        self._ending.set()
        self.join(10)


def send_failed_again(world: "World") -> int:
    """What a person does about calls whose senders were killed three times. Returns how many."""
    failed = list(world.system.db.dispatches.find({"state": "failed", "reason": GIVES_UP}, {"_id": 1}))
    for dispatch in failed:
        path = f"/v1/dispatches/{dispatch['_id']}/resolve"
        world.system.call("POST", path, json={"verdict": "send_again"}).raise_for_status()
    world.asked.requeued += len(failed)
    return len(failed)


def say_what_became_of_the_unknown(world: "World") -> int:
    """What a person does about calls of the provider that cannot be asked: look into its record. Returns how
    many. Everything must be quiet: what is not there will not come."""
    took = {kept.ids["mailroom_dispatch"] for kept in world.backup.kept}
    unknown = list(world.system.db.dispatches.find({"state": "unknown", "provider": world.backup.name}, {"_id": 1}))
    for dispatch in unknown:
        word = "went_out" if dispatch["_id"] in took else "send_again"
        path = f"/v1/dispatches/{dispatch['_id']}/resolve"
        world.system.call("POST", path, json={"verdict": word}).raise_for_status()
    world.asked.resolved += len(unknown)
    return len(unknown)
