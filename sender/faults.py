"""What a provider holds against us, kept where a person looks for it: `doctor`, the pages, a mail that waits."""

import threading
import time
from typing import Final

import structlog

from mailroom.assembly import Back
from mailroom.domain.errors import Unavailable
from mailroom.storage import providers
from mailroom.storage.database import server_now

log = structlog.get_logger()
_AGAIN_S: Final = 30.0  # what lasts is said again, so that what nobody says any more is over


class Faults:
    """Any thread may tell. MongoDB being away changes nothing: it is said again."""

    def __init__(self, back: Back) -> None:
        self._back = back
        self._said: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def tell(self, provider: str, why: str) -> None:
        """It takes nothing from us, for this reason."""
        now = time.monotonic()
        with self._lock:
            before, at = self._said.get(provider, ("", float("-inf")))
            if now - at < (_AGAIN_S if before else 0.0):
                return
            self._said[provider] = (why, now)
        try:
            providers.note_fault(self._back.db, provider, why, now=server_now(self._back.db))
        except Unavailable as error:
            log.warning("fault_not_noted", provider=provider, error=str(error))

    def well(self, provider: str) -> None:
        """It took a mail."""
        if provider not in self._said:
            return
        with self._lock:
            self._said.pop(provider, None)
        try:
            providers.forget_fault(self._back.db, provider)
        except Unavailable as error:
            log.warning("fault_not_forgotten", provider=provider, error=str(error))
