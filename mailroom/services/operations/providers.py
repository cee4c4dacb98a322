"""View and change providers at run time: their order, whether they get new dispatches, their circuits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from mailroom.coordination.circuits import Circuits
from mailroom.domain.circuits import Circuit
from mailroom.domain.errors import Fault, InvalidInput, ProviderNotFound, Unavailable
from mailroom.domain.shares import NO_SHARES, Shares
from mailroom.services.common import mailgun_only
from mailroom.storage import providers
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ShownProvider:
    """A provider as pages show it. `circuit` is None if Redis does not answer; `fault` is None if the provider takes
    mail. `share`, `shares_by_domain`: its weight among the others; None and none if it is only a substitute."""

    name: str
    enabled: bool
    circuit: Circuit | None
    fault: providers.ProviderFault | None = None
    share: int | None = None
    shares_by_domain: Mapping[str, int] = field(default_factory=dict)


def listing(db: Db, circuits: Circuits, configured: Sequence[str], shares: Shares = NO_SHARES) -> list[ShownProvider]:
    """The configured providers in the order in force."""
    try:
        states: Mapping[str, Circuit] = circuits.look(configured)
    except Unavailable:
        states = {}
    faults = providers.faults(db, now=server_now(db))
    return [
        ShownProvider(
            provider.name,
            provider.enabled,
            states.get(provider.name),
            faults.get(provider.name),
            shares.of_others.get(provider.name),
            shares.by_domain_of(provider.name),
        )
        for provider in providers.standings(db, configured)
    ]


def enable(db: Db, circuits: Circuits, configured: Sequence[str], name: str, enabled: bool, *, by: str) -> bool:
    """Enable or disable a provider for new dispatches. Its dispatches in doubt are reconciled in any case. Returns
    whether any provider is enabled now. Raises ProviderNotFound, InvalidInput."""
    if name not in configured:
        raise ProviderNotFound(name)
    if enabled:
        mailgun_only.check_change(db, configured, _enabled(db, configured, also=name), path="enabled")
    providers.enable(db, name, enabled, by=by, now=server_now(db))
    if enabled:
        circuits.close_circuit(name)
    log.info("provider_changed", provider=name, enabled=enabled, by=by)
    any_enabled = any(provider.enabled for provider in providers.standings(db, configured))
    if not any_enabled:
        log.error("no_provider_is_enabled", by=by)
    return any_enabled


def _enabled(db: Db, configured: Sequence[str], *, also: str = "") -> list[str]:
    return [p.name for p in providers.standings(db, configured) if p.enabled or p.name == also]


def reorder(db: Db, configured: Sequence[str], names: Sequence[str], *, by: str) -> None:
    """Set the order in which providers are chosen. Raises InvalidInput unless each is named once."""
    if sorted(names) != sorted(configured):
        raise InvalidInput(Fault("order", f"names each of {', '.join(sorted(configured))} once"))
    enabled = set(_enabled(db, configured))
    mailgun_only.check_change(db, configured, [name for name in names if name in enabled], path="order")
    providers.reorder(db, names, by=by, now=server_now(db))
    log.info("providers_reordered", order=list(names), by=by)
