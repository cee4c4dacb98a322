"""Which provider gets the next work: the first in order whose circuit is closed, and now and then an earlier one.

What is in doubt never comes here: it stays with its provider until it is settled.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import structlog

from mailroom.assembly import SenderServices
from mailroom.domain.circuits import Circuit, CircuitState
from mailroom.domain.errors import Unavailable
from mailroom.services.dispatching.claims import Waiting
from mailroom.storage.providers import ProviderStanding, standings
from sender.reachability import Reachability

log = structlog.get_logger()
_LOOK_S: Final = 0.25
_SAY_S: Final = 60.0
_UNREACHED: Final = 3


class ProviderRouter:
    """One thread asks for a provider; any thread may tell what came of calls."""

    def __init__(self, services: SenderServices) -> None:
        self._services = services
        self._names = list(services.adapters)
        self.reachability = Reachability(self._names, self._could_not_reach)
        self._order: Sequence[ProviderStanding] = [ProviderStanding(name, True) for name in self._names]
        self._circuits: Mapping[str, Circuit] = {name: Circuit() for name in self._names}
        self._look_at = self._say_at = 0.0

    def choose(self, waiting: Waiting) -> list[tuple[str, Waiting]]:
        """A provider for each of these dispatches; none for those that must wait for one. Raises Unavailable."""
        self._look()
        enabled = [one.name for one in self._order if one.enabled]
        if not enabled:
            self._say_that_none_is_enabled()
        if len(enabled) < 2:
            return [(name, waiting) for name in enabled]  # where there is no other, waiting would help nobody
        order = [name for name in enabled if not self.reachability.out_of_reach(name)] or enabled
        chosen: list[tuple[str, Waiting]] = []
        for name in order:
            state = self._circuits[name].state
            if not len(waiting):
                break
            if state is CircuitState.CLOSED:
                return [*chosen, (name, waiting)]
            if state is CircuitState.HALF and self._services.circuits.probe(name):
                chosen.append((name, waiting.first(1)))
                waiting = waiting.after(1)
        return chosen

    def has_other_than(self, provider: str) -> bool:
        """True if new work could go elsewhere at this moment."""
        return any(
            one.enabled and one.name != provider and self._circuits[one.name].state is not CircuitState.OPEN
            for one in self._order
        )

    def _could_not_reach(self, provider: str) -> None:
        """Nobody gets through, however little there is to send: three times of this open the circuit."""
        self.tell({provider: (0, -(-self._services.circuits.failures // _UNREACHED))})

    def rest(self, provider: str, span: timedelta, why: str) -> None:
        """The provider refuses the account: let it rest where there are others. Redis being away changes nothing."""
        if not self.has_other_than(provider):
            return
        try:
            self._services.circuits.rest(provider, span, why)
        except Unavailable as error:
            log.warning("circuit_not_told", provider=provider, error=str(error))
        self._look_at = 0.0

    def tell(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Count calls, (good, bad) by provider. Redis being away changes nothing."""
        if len(self._names) < 2 or not counts:
            return
        try:
            changed = self._services.circuits.report(counts)
        except Unavailable as error:
            log.warning("circuit_not_told", error=str(error))
            return
        for provider, change in changed.items():
            log.error("circuit_opened", provider=provider) if change == "opened" else log.info(
                "circuit_closed", provider=provider
            )
            self._look_at = 0.0

    def _say_that_none_is_enabled(self) -> None:
        if time.monotonic() >= self._say_at:
            self._say_at = time.monotonic() + _SAY_S
            log.error("no_provider_is_enabled", mails="wait until one is")

    def _look(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_S
        self._order = standings(self._services.db, self._names)
        if len(self._names) > 1:
            self._circuits = self._services.circuits.look(self._names)
