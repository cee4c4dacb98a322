"""The provider for each of the next dispatches: the rule of domain/failover.py, by what is known of the providers now.

A dispatch in doubt never comes here: it stays with its provider until it is reconciled.
"""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.circuits import Circuit, CircuitState
from mailroom.domain.dispatches.model import Claimable
from mailroom.domain.emails.model import Rank
from mailroom.domain.errors import Unavailable
from mailroom.domain.failover import ProviderChoice, Route
from mailroom.services.dispatching.claims import Waiting
from mailroom.storage.providers import ProviderStanding, standings
from sender.pace import Pace
from sender.reachability import Reachability
from sender.speeds import Speeds

log = structlog.get_logger()
_LOOK_S: Final = 0.25
_LOG_S: Final = 60.0
_UNREACHED: Final = 3


class ProviderRouter:
    """One thread chooses providers; any thread may report outcomes."""

    def __init__(self, services: SenderServices, pace: Pace, speeds: Speeds) -> None:
        self._services, self._pace, self._speeds = services, pace, speeds
        self._names = list(services.adapters)
        self.reachability = Reachability(self._names, self._could_not_reach)
        self._order: Sequence[ProviderStanding] = [ProviderStanding(name, True) for name in self._names]
        self._circuits: Mapping[str, Circuit] = {name: Circuit() for name in self._names}
        self._look_at = self._log_at = 0.0

    def choose(self, waiting: Waiting) -> list[tuple[str, Waiting]]:
        """Providers, each with its part of `waiting`; dispatches in no part must wait for one. Raises Unavailable."""
        self._look()
        enabled = [provider.name for provider in self._order if provider.enabled]
        if not enabled:
            self._log_that_none_is_enabled()
        choice = ProviderChoice(
            {name: self._route(name) for name in enabled}, self._services.circuits.probe, self._speeds.take_sample
        )
        parts = choice.divide(waiting.dispatches, lambda dispatch: self._order_of(dispatch, enabled))
        return [(name, Waiting(part, waiting.alone)) for name, part in parts.items()]

    def stands_before_others(self, dispatch: Claimable) -> bool:
        """True if dispatches behind this one may go by another provider, though this one may not now. What is urgent
        exceeds no limit: by shares it always goes by some provider."""
        of_its_own = dispatch.among or (self._services.shares.providers and dispatch.rank is not Rank.HIGH)
        return bool(of_its_own) and any(provider.enabled for provider in self._order)

    def without_provider(self, waiting: Waiting) -> Waiting:
        """Those that went elsewhere, and may go by providers only of which none is enabled, as of the last choice."""
        enabled = {provider.name for provider in self._order if provider.enabled}
        return Waiting([one for one in waiting.of_few.dispatches if enabled.isdisjoint(one.among)])

    def _order_of(self, dispatch: Claimable, enabled: Sequence[str]) -> Sequence[str]:
        """The enabled providers by which a dispatch may go: in its own order where it has one, else by their shares."""
        if dispatch.among:
            return [name for name in dispatch.among if name in enabled]
        return self._services.shares.order(dispatch.id, dispatch.domain, enabled)

    def _route(self, name: str) -> Route:
        return Route(
            carries=self._services.adapters[name].max_recipients,
            circuit=self._circuits[name].state,
            reachable=not self.reachability.out_of_reach(name),
            slow=self._speeds.slow(name),
            room=self._pace.room(name),
        )

    def takes_mail(self, provider: str) -> bool:
        """True if new dispatches could go to this provider now."""
        enabled = any(other.enabled and other.name == provider for other in self._order)
        return enabled and self._circuits[provider].state is not CircuitState.OPEN

    def has_other_than(self, provider: str) -> bool:
        """True if new dispatches could go to another provider now."""
        return any(self.takes_mail(other.name) for other in self._order if other.name != provider)

    def _could_not_reach(self, provider: str) -> None:
        """Count a failed opening as failed calls: three of them open the circuit, however little there is to
        send."""
        self.report({provider: (0, -(-self._services.circuits.failures // _UNREACHED))})

    def rest(self, provider: str, span: timedelta, why: str) -> None:
        """Let a provider that refuses the account rest, if there are others. Without Redis this has no effect."""
        if not self.has_other_than(provider):
            return
        try:
            self._services.circuits.rest(provider, span, why)
        except Unavailable as error:
            log.warning("circuit_not_told", provider=provider, error=str(error))
        self._look_at = 0.0

    def report(self, counts: Mapping[str, tuple[int, int]]) -> None:
        """Count calls, (good, bad) by provider. Without Redis this has no effect."""
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

    def _log_that_none_is_enabled(self) -> None:
        if time.monotonic() >= self._log_at:
            self._log_at = time.monotonic() + _LOG_S
            log.error("no_provider_is_enabled", mails="wait until one is")

    def _look(self) -> None:
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + _LOOK_S
        self._order = standings(self._services.db, self._names)
        if len(self._names) > 1:
            self._circuits = self._services.circuits.look(self._names)
