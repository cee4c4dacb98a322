"""Providers looked at and changed at run time: their order, whether they get new work, how their circuits stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from mailroom.coordination.circuits import Circuits
from mailroom.domain.circuits import Circuit
from mailroom.domain.errors import Fault, InvalidInput, ProviderNotFound, Unavailable
from mailroom.services.common import mailgun_only
from mailroom.storage import providers
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ShownProvider:
    """A provider in its place. `circuit` is None if Redis does not answer; `fault` is None if the provider takes
    mail."""

    name: str
    enabled: bool
    circuit: Circuit | None
    fault: providers.ProviderFault | None = None


def listing(db: Db, circuits: Circuits, configured: Sequence[str]) -> list[ShownProvider]:
    """The configured providers in the order in force."""
    try:
        found: Mapping[str, Circuit] = circuits.look(configured)
    except Unavailable:
        found = {}
    faults = providers.faults(db, now=server_now(db))
    return [
        ShownProvider(one.name, one.enabled, found.get(one.name), faults.get(one.name))
        for one in providers.standings(db, configured)
    ]


def enable(db: Db, circuits: Circuits, configured: Sequence[str], name: str, enabled: bool, *, by: str) -> bool:
    """Give a provider new work, or none; what it has in doubt is still asked about. Returns whether any gets new work
    now. Raises ProviderNotFound, InvalidInput."""
    if name not in configured:
        raise ProviderNotFound(name)
    if enabled:
        mailgun_only.check_change(db, configured, _enabled(db, configured, also=name), path="enabled")
    providers.enable(db, name, enabled, by=by, now=server_now(db))
    if enabled:
        circuits.close_circuit(name)
    log.info("provider_changed", provider=name, enabled=enabled, by=by)
    left = any(one.enabled for one in providers.standings(db, configured))
    if not left:
        log.error("no_provider_is_enabled", by=by)
    return left


def _enabled(db: Db, configured: Sequence[str], *, also: str = "") -> list[str]:
    return [one.name for one in providers.standings(db, configured) if one.enabled or one.name == also]


def reorder(db: Db, configured: Sequence[str], names: Sequence[str], *, by: str) -> None:
    """Set the order in which providers are asked. Raises InvalidInput unless each is named once."""
    if sorted(names) != sorted(configured):
        raise InvalidInput(Fault("order", f"names each of {', '.join(sorted(configured))} once"))
    enabled = set(_enabled(db, configured))
    mailgun_only.check_change(db, configured, [name for name in names if name in enabled], path="order")
    providers.reorder(db, names, by=by, now=server_now(db))
    log.info("providers_reordered", order=list(names), by=by)
