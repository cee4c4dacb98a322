"""View and change rate limits at run time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from mailroom.coordination.rate_buckets import Level, Rates
from mailroom.domain.errors import Fault, InvalidInput, LimitNotFound, ProviderNotFound, Unavailable
from mailroom.domain.limits import MAX_RATE_LIMITS
from mailroom.domain.rates import Limit, LimitKind, check_limit
from mailroom.storage import rate_limits
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ShownLimit:
    """A limit as pages show it. `mails_now`: the mails of today's step. `level`: its bucket's, None without Redis."""

    limit: Limit
    mails_now: int
    level: Level | None


def listing(db: Db, rates: Rates) -> list[ShownLimit]:
    """All limits. Raises Unavailable if MongoDB is away."""
    limits, now = rate_limits.every(db), server_now(db)
    try:
        levels: Mapping[str, Level] = rates.look([limit.id for limit in limits])
    except Unavailable:
        levels = {}
    return [ShownLimit(limit, limit.mails_at(now), levels.get(limit.id)) for limit in limits]


def put(
    db: Db, rates: Rates, configured: Sequence[str], kind: str, name: str, draft: Mapping[str, object], *, by: str
) -> ShownLimit:
    """Set a limit; senders apply it within seconds. Raises InvalidInput, ProviderNotFound, Unavailable."""
    now = server_now(db)
    limit = check_limit(kind, name, draft, now=now)
    if kind == LimitKind.PROVIDER and limit.name not in configured:
        raise ProviderNotFound(name)
    others = [other for other in rate_limits.every(db) if other.id != limit.id]
    if len(others) >= MAX_RATE_LIMITS:
        raise InvalidInput(Fault("name", f"there are {MAX_RATE_LIMITS} limits already"))
    stored = rate_limits.put(db, limit, by=by)
    rates.forget(stored.id)
    log.info("rate_limit_set", limit=stored.id, mails=stored.mails, per=stored.per, by=by)
    return ShownLimit(stored, stored.mails_at(now), Level())


def read_warm_up(text: str) -> list[int]:
    """The numbers of a warm-up, typed into a form as `50, 100, 400`. Raises InvalidInput."""
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError:
        raise InvalidInput(Fault("warm_up", "whole numbers, separated by commas")) from None


def remove(db: Db, rates: Rates, kind: str, name: str, *, by: str) -> None:
    """Remove a limit; senders stop applying it within seconds. Raises LimitNotFound, Unavailable."""
    id_ = f"{kind}/{name.strip().lower()}"
    if not rate_limits.remove(db, id_):
        raise LimitNotFound(id_)
    rates.forget(id_)
    log.info("rate_limit_removed", limit=id_, by=by)
