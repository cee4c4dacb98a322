"""Note why a provider takes no mail. `doctor`, the pages and a waiting mail show the reason."""

import threading
import time
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.errors import Unavailable
from mailroom.storage import providers
from mailroom.storage.database import server_now

log = structlog.get_logger()
_AGAIN_S: Final = 30.0  # a lasting fault is noted again; a fault that is not noted again expires


class Faults:
    """Thread-safe. While MongoDB is away nothing is noted; a lasting fault is noted again later."""

    def __init__(self, services: SenderServices) -> None:
        self._services = services
        self._noted: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def note(self, provider: str, why: str, *, slow: bool = False) -> None:
        """Note that the provider takes no mail, for this reason; or, with `slow`, that others get its mail."""
        now = time.monotonic()
        with self._lock:
            before, at = self._noted.get(provider, ("", float("-inf")))
            if now - at < (_AGAIN_S if before else 0.0):
                return
            self._noted[provider] = (why, now)
        try:
            providers.note_fault(self._services.db, provider, why, slow=slow, now=server_now(self._services.db))
        except Unavailable as error:
            log.warning("fault_not_noted", provider=provider, error=str(error))

    def clear(self, provider: str) -> None:
        """Forget the fault: the provider took a mail."""
        if provider not in self._noted:
            return
        with self._lock:
            self._noted.pop(provider, None)
        try:
            providers.forget_fault(self._services.db, provider)
        except Unavailable as error:
            log.warning("fault_not_forgotten", provider=provider, error=str(error))
