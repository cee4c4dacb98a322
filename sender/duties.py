"""The ticking duties of a sender, run by APScheduler: the lease's heartbeat, and the janitor's rounds."""

from typing import Final

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from mailroom.assembly import Back
from mailroom.domain.errors import Unavailable
from mailroom.services import housekeeping

log = structlog.get_logger()
_JANITOR_S: Final = 5.0


def start_duties(back: Back) -> BackgroundScheduler:
    """Both duties, ticking; `shutdown()` ends them."""
    ticking = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    ticking.add_job(keep_alive, "interval", [back], seconds=max(0.3, back.settings.sending.lease_ttl_s / 4))
    ticking.add_job(tidy, "interval", [back], seconds=_JANITOR_S, jitter=2)
    ticking.start()
    return ticking


def keep_alive(back: Back) -> None:
    """Renew the lease. When etcd is away, the deadline alone decides what may still be called."""
    try:
        if not back.leases.keep_alive():
            log.warning("lease_not_renewed")
    except Unavailable as error:
        log.warning("heartbeat_missed", error=str(error))


def tidy(back: Back) -> None:
    """One round of what nobody waits for."""
    try:
        done = housekeeping.tidy(back.db)
    except Unavailable as error:
        log.warning("janitor_waits", error=str(error))
        return
    if done:
        log.info("tidied", **done)
