"""The ticking duties of a sender, run by APScheduler: the lease's heartbeat, the janitor's rounds, the ledger."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from mailroom.assembly import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.services.common.clock import server_now
from mailroom.services.operations import janitor, ledger

log = structlog.get_logger()
_JANITOR_S: Final = 5.0
_STUCK_TTLS: Final = 3  # leases' times without a completed round, before a sender lets its lanes go
_LEDGER_LOOK_S: Final = 60.0
_LEDGER_EVERY: Final = timedelta(hours=1)
_LEDGER_SPAN: Final = timedelta(hours=3)


def start_duties(services: SenderServices, *, idle_s: Callable[[], float]) -> BackgroundScheduler:
    """All duties, ticking; `shutdown()` ends them. `idle_s` tells for how long no round of the loop was completed."""
    ticking = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    ticking.add_job(
        keep_alive, "interval", [services, idle_s], seconds=max(0.3, services.settings.sending.lease_ttl_s / 4)
    )
    ticking.add_job(tidy, "interval", [services], seconds=_JANITOR_S, jitter=2)
    ticking.add_job(balance, "interval", [services], seconds=_LEDGER_LOOK_S, jitter=20)
    ticking.start()
    return ticking


def keep_alive(services: SenderServices, idle_s: Callable[[], float]) -> None:
    """Renew the lease. When etcd is away, the deadline alone decides what may still be called.

    A sender that gets nothing done, cut off from MongoDB perhaps, lets its lanes go: others may be able to.
    """
    if idle_s() > _STUCK_TTLS * services.settings.sending.lease_ttl_s:
        if services.leases.held:
            log.error("lease_let_go", idle_s=round(idle_s(), 1))
        return
    try:
        if not services.leases.keep_alive():
            log.warning("lease_not_renewed")
    except Unavailable as error:
        log.warning("heartbeat_missed", error=str(error))


def balance(services: SenderServices) -> None:
    """One sender an hour makes the ledger of the last hours, across MongoDB and Redis; the gauge shows it."""
    try:
        if not ledger.is_due(services.db, every=_LEDGER_EVERY):
            return
        made = ledger.check(services.db, since=server_now(services.db) - _LEDGER_SPAN, fences=services.fences)
        ledger.keep(services.db, made)
    except Unavailable as error:
        log.warning("ledger_waits", error=str(error))
        return
    for wrong in made.imbalances[:20]:
        log.error("ledger_does_not_balance", kind=wrong.kind, id=wrong.id, words=wrong.words)


def tidy(services: SenderServices) -> None:
    """One round of what nobody waits for."""
    try:
        done = janitor.tidy(services.db, trails_kept_for=services.settings.retention.trails)
    except Unavailable as error:
        log.warning("janitor_waits", error=str(error))
        return
    if done:
        log.info("tidied", **done)
