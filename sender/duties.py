"""Periodic duties of a sender, run by APScheduler: its lease's heartbeat, the janitor, the archive, the ledger, what
is pushed to Mailgun's lists, and the level of its log."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from mailroom.assembly.providers import build_mailgun_lists
from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.domain.mailgun_lists import NOTHING
from mailroom.providers.mailgun.suppression_lists import MailgunLists
from mailroom.services.common.clock import server_now
from mailroom.services.feedback import mailgun_push
from mailroom.services.operations import janitor, ledger
from mailroom.services.operations.log_level import LOOK_S, LogLevelFollower
from mailroom.services.schedules.archive_finished import FinishedSchedules
from mailroom.watching.lanes import renewal
from sender.leisure import Leisure, SenderStopping

log = structlog.get_logger()
_JANITOR_S: Final = 5.0
_SWEEP_S: Final = 60.0  # after a sweep that found nothing; after another one the next comes at once
_END_S: Final = 3.0
_ARCHIVE_S: Final = 60.0
_STUCK_TTLS: Final = 3  # lease times without a completed round, after which a sender lets its lease expire
_PUSH_S: Final = 15.0
_LEDGER_LOOK_S: Final = 60.0
_LEDGER_EVERY: Final = timedelta(hours=1)
_LEDGER_SPAN: Final = timedelta(hours=3)


def start_duties(services: SenderServices, *, idle_s: Callable[[], float]) -> BackgroundScheduler:
    """Start all duties; `end_duties` ends them. `idle_s` returns the seconds since the last
    completed round of the loop, or step of planning, whichever is longer."""
    ticking = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    ticking.add_job(
        keep_alive, "interval", [services, idle_s], seconds=max(0.3, services.settings.sending.lease_ttl_s / 4)
    )
    ticking.add_job(Janitor(services).round, "interval", seconds=_JANITOR_S, jitter=2)
    if age := services.settings.retention.finished_schedules:
        finished = FinishedSchedules(services.db, age=age)
        soon = datetime.now(UTC) + timedelta(seconds=_JANITOR_S)
        ticking.add_job(archive, "interval", [finished], seconds=_ARCHIVE_S, jitter=20, next_run_time=soon)
    going_on = [services, lambda: ticking.running]
    ticking.add_job(balance, "interval", going_on, seconds=_LEDGER_LOOK_S, jitter=20)
    pushes, lists = services.settings.mailgun.pushes, build_mailgun_lists(services.settings)
    if lists is not None and pushes != NOTHING:
        ticking.add_job(push, "interval", [services, lists, pushes], seconds=_PUSH_S, jitter=5)
    follower = LogLevelFollower(services.db, own=services.settings.log_level)
    ticking.add_job(follower.look, "interval", seconds=LOOK_S)
    ticking.start()
    return ticking


def end_duties(duties: BackgroundScheduler) -> None:
    """Begin no duty any more, and let one under way come to its end, so that its clients are not closed beneath it. One
    that takes longer than `_END_S`, such as without MongoDB, is cut off: each may be."""
    ending = threading.Thread(target=duties.shutdown, name="duties-end", daemon=True)
    ending.start()
    ending.join(_END_S)


def keep_alive(services: SenderServices, idle_s: Callable[[], float]) -> None:
    """Renew the lease. While etcd is away, the lease's deadline alone decides whether a call may be made.

    A sender that completes no round, or no step of planning, for example without MongoDB, stops renewing: other senders
    may be able to work in its lanes.
    """
    if idle_s() > _STUCK_TTLS * services.settings.sending.lease_ttl_s:
        if services.leases.held:
            log.error("lease_let_go", idle_s=round(idle_s(), 1))
        return
    try:
        alive = services.leases.keep_alive()
        renewal("renewed" if alive else "refused")
        if not alive:
            log.warning("lease_not_renewed")
    except Unavailable as error:
        renewal("unanswered")
        log.warning("heartbeat_missed", error=str(error))


def balance(services: SenderServices, going_on: Callable[[], bool] = lambda: True) -> None:
    """Once an hour a single sender checks the ledger of the last hours, across MongoDB and Redis, for the gauge. It
    takes its time, for its mails do not wait for it. A sender that ends meanwhile leaves it: the next one looks as far
    back."""
    try:
        if not ledger.is_due(services.db, every=_LEDGER_EVERY):
            return
        since = server_now(services.db) - _LEDGER_SPAN
        checked = ledger.check(services.db, since=since, fences=services.fences, advance=Leisure(going_on))
        ledger.keep(services.db, checked)
    except SenderStopping:
        return
    except Unavailable as error:
        log.warning("ledger_waits", error=str(error))
        return
    for imbalance in checked.imbalances[:20]:
        log.error("ledger_does_not_balance", kind=imbalance.kind, id=imbalance.id, words=imbalance.words)


def push(services: SenderServices, lists: MailgunLists, pushes: str) -> None:
    """Push new suppressions to Mailgun's own lists. Nothing waits for it."""
    try:
        mailgun_push.push(services.db, lists, pushes)
    except Unavailable as error:
        log.warning("suppressions_not_pushed", error=str(error))


def archive(finished: FinishedSchedules) -> None:
    """One round over the schedules that finished long ago."""
    try:
        finished.round()
    except Unavailable as error:
        log.warning("archiving_waits", error=str(error))


class Janitor:
    """Background maintenance: in each round what somebody may wait for, and sweeps as long as these find something,
    else once a minute."""

    def __init__(self, services: SenderServices) -> None:
        self._services = services
        self._sweep_at = 0.0

    def round(self) -> None:
        try:
            self._log(janitor.tidy(self._services.db))
            if time.monotonic() >= self._sweep_at:
                self._sweep()
        except Unavailable as error:
            log.warning("janitor_waits", error=str(error))

    def _sweep(self) -> None:
        kept_for, files = self._services.settings.retention.trails, self._services.bodies
        done = janitor.sweep(self._services.db, trails_kept_for=kept_for, files=files)
        if not done:
            self._sweep_at = time.monotonic() + _SWEEP_S
        self._log(done)

    def _log(self, done: Mapping[str, int]) -> None:
        if done:
            log.info("tidied", **done)
