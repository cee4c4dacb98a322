"""A whole sender: it runs until stopped, and shuts down in order.

At SIGTERM: plan and claim nothing more, let the calls in flight end, record their outcomes, release the lanes and the
lease, close the clients. After a kill, the next holder of its lanes takes its dispatches over.
"""

import random
import threading
from typing import Final

import structlog

from config.settings import Settings
from mailroom.assembly.api_and_sender import build_writability
from mailroom.assembly.sender import build_sender_services
from mailroom.domain.errors import Unavailable
from mailroom.services.operations.check_ins import new_worker_id
from mailroom.services.operations.metrics import transaction_lifetime_s
from mailroom.services.operations.writability import why_nothing_is_sent
from mailroom.watching import traces
from sender.duties import end_duties, start_duties
from sender.health_port import HealthPort
from sender.parts import Parts

log = structlog.get_logger()
_AWAY_S: Final = 1.0
_IDLE_TTLS: Final = 3  # lease times without a completed round, after which a sender is not ready


def run_sender(settings: Settings, stop: threading.Event) -> None:
    """Run a sender until `stop` is set. Returns once everything is closed. Raises MisconfiguredStore."""
    name = new_worker_id()
    structlog.contextvars.bind_contextvars(sender_id=name)
    traces.start(settings.traces.url, share=settings.traces.share, part="sender")
    Sender(settings, name).run(stop)
    traces.stop()


class Sender:
    def __init__(self, settings: Settings, name: str) -> None:
        self._services = build_sender_services(settings, sender=name)
        self._lease_ttl_s = settings.sending.lease_ttl_s
        self._parts = Parts(self._services, sender=name)
        self._writability = build_writability(settings, self._services.db)
        self._health_port = HealthPort(settings.web.bind, settings.sending.port, self._why_not_ready)

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set. Raises MisconfiguredStore before anything is sent."""
        self._health_port.open()
        self._parts.presence.start()
        try:
            self._check_stores(stop)
            self._send(stop)
        finally:
            self._parts.presence.leave()
            self._close()
            log.info("sender_stopped")

    def _send(self, stop: threading.Event) -> None:
        """Send until `stop` is set, then drain."""
        log.info("sender_started")
        duties = start_duties(self._services, idle_s=self._parts.idle_s)
        self._parts.start()
        threading.Thread(target=self._end_pause_at, args=(stop,), name="stop", daemon=True).start()
        try:
            while not stop.is_set():
                self._one_round(stop)
        finally:
            self._drain()
            end_duties(duties)

    def _check_stores(self, stop: threading.Event) -> None:
        """Wait until the stores answer. Raises MisconfiguredStore for a Redis that is a Cluster or may evict fences;
        warns of long-lived transactions."""
        while not stop.is_set():
            try:
                self._services.fences.check_server()
                lifetime_s = transaction_lifetime_s(self._services.db)
            except Unavailable as error:
                log.warning("sender_waits", error=str(error))
                stop.wait(_AWAY_S)
                continue
            if lifetime_s is not None and lifetime_s > self._services.settings.sending.lease_ttl_s:
                log.warning("mongodb_transactions_outlive_leases", lifetime_s=lifetime_s)
            return

    def _why_not_ready(self) -> str:
        """Why this sender cannot send; '' while it can."""
        if why := why_nothing_is_sent(self._writability.look()):
            return why
        if not self._services.leases.held:
            return "it has no lease of etcd"
        idle_s = self._parts.idle_s()
        return f"it has done nothing for {idle_s:.0f} s" if idle_s > _IDLE_TTLS * self._lease_ttl_s else ""

    def _one_round(self, stop: threading.Event) -> None:
        parts = self._parts
        if not parts.alive:
            log.error("thread_died", in_hand=parts.in_flight.in_hand())
            stop.set()
            return
        try:
            pause_s = 0.0 if parts.loop.step(resting=parts.rest.goes_on()) else parts.rest.pause_s()
        except Unavailable as error:
            # Expected: a store is away. Wait with jitter, so that the senders do not all come back at the same moment.
            log.warning("sender_waits", error=str(error))
            stop.wait(_AWAY_S * random.uniform(0.5, 1.5))  # noqa: S311
            return
        except Exception:
            # Unexpected: every dispatch in flight is guarded by its claim and its fence, so it is safe to go on.
            log.exception("sender_round_failed")
            stop.wait(_AWAY_S)
            return
        if pause_s:
            parts.progress.wait(pause_s)
        else:
            parts.rest.note_work()
        parts.progress.clear()

    def _end_pause_at(self, stop: threading.Event) -> None:
        stop.wait()
        self._parts.progress.set()

    def _drain(self) -> None:
        log.info("sender_draining", in_hand=self._parts.in_flight.in_hand())
        self._parts.presence.drain()
        self._parts.finish()
        self._services.leases.end()  # this frees every lane of ours

    def _close(self) -> None:
        self._health_port.close()
        self._parts.close()
        self._services.leases.close()
        self._services.fences.close_client()
        self._services.mirror.close()
        self._services.holds.close()
        self._services.circuits.close()
        self._services.rates.close()
        self._services.db.client.close()
