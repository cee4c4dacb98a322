"""Note why a provider takes no mail, where people look for it: in `doctor`, on the pages, at a mail that waits."""

import threading
import time
from typing import Final

import structlog

from mailroom.assembly import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.storage import providers
from mailroom.storage.database import server_now

log = structlog.get_logger()
_AGAIN_S: Final = 30.0  # a lasting fault is noted again; one that is not noted again ends by itself


class Faults:
    """Thread-safe. While MongoDB is away nothing is noted; a lasting fault is noted again later."""

    def __init__(self, services: SenderServices) -> None:
        self._services = services
        self._said: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def tell(self, provider: str, why: str) -> None:
        """Note that the provider takes no mail, for this reason."""
        now = time.monotonic()
        with self._lock:
            before, at = self._said.get(provider, ("", float("-inf")))
            if now - at < (_AGAIN_S if before else 0.0):
                return
            self._said[provider] = (why, now)
        try:
            providers.note_fault(self._services.db, provider, why, now=server_now(self._services.db))
        except Unavailable as error:
            log.warning("fault_not_noted", provider=provider, error=str(error))

    def well(self, provider: str) -> None:
        """Note that the provider took a mail."""
        if provider not in self._said:
            return
        with self._lock:
            self._said.pop(provider, None)
        try:
            providers.forget_fault(self._services.db, provider)
        except Unavailable as error:
            log.warning("fault_not_forgotten", provider=provider, error=str(error))
