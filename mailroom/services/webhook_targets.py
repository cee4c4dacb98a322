"""Our public URL pushed to a provider as the target of its webhooks, and whether a test event arrives there."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from mailroom.domain.errors import Fault, InvalidInput, Unavailable
from mailroom.domain.ids import RunId
from mailroom.providers.targets import Target
from mailroom.services.stopping import require_sending
from mailroom.storage import events, webhook_targets
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()
LONGEST_WAIT_S: Final = 60
_LOOK_S: Final = 0.25
_NOTED_EVERY_S: Final = 1.0


class Arrivals:
    """Notes when verified webhooks come, each provider once a second at most. For many threads."""

    def __init__(self, db: Db) -> None:
        self._db, self._lock = db, threading.Lock()
        self._noted_at: dict[str, float] = {}

    def note(self, provider: str) -> None:
        """Never raises: the webhook itself is stored, and that is what counts."""
        with self._lock:
            if time.monotonic() - self._noted_at.get(provider, float("-inf")) < _NOTED_EVERY_S:
                return
            self._noted_at[provider] = time.monotonic()
        try:
            webhook_targets.arrived(self._db, provider, now=server_now(self._db))
        except Unavailable as error:
            log.warning("arrival_not_noted", provider=provider, error=str(error))


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed, and after how long a test event came; None where none did."""

    provider: str
    url: str
    arrived_after_s: float | None


def push(
    db: Db, target: Target, provider: str, base: str, *, by: str, wait_s: float, sleep: Callable[[float], None]
) -> Pushed:
    """Push `base`/webhooks/`provider` in the place of what was pushed before, then wait for a test event.

    Raises InvalidInput, SendingStopped, Unavailable.
    """
    require_sending(db)  # the event is brought by a mail, though in test mode
    url = f"{_checked(base)}/webhooks/{provider}"
    began, since = time.monotonic(), server_now(db)
    earlier = webhook_targets.every(db).get(provider, {}).get("url", "")
    target.push(url, instead_of=earlier)
    webhook_targets.pushed(db, provider, url, by=by, now=since)
    name = f"webhook-test-{secrets.token_hex(8)}"
    by_name = target.ask_for_event(url, name)
    while (waited := time.monotonic() - began) < wait_s:
        if events.any_of_run(db, RunId(name)) if by_name else _arrived(db, provider, since):
            log.info("webhook_target_works", provider=provider, url=url, by=by)
            return Pushed(provider, url, waited)
        sleep(_LOOK_S)
    log.warning("webhook_target_silent", provider=provider, url=url, waited_s=wait_s)
    return Pushed(provider, url, None)


def listing(db: Db) -> dict[str, Mapping[str, Any]]:
    """By provider: `url`, `pushed_at` and `arrived_at`, as far as they are known."""
    return webhook_targets.every(db)


def _arrived(db: Db, provider: str, since: datetime) -> bool:
    at = webhook_targets.every(db).get(provider, {}).get("arrived_at")
    return at is not None and at >= since


def _checked(base: str) -> str:
    base = base.strip().rstrip("/")
    try:
        parts = urlsplit(base)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise InvalidInput(Fault("url", "an http:// or https:// URL, such as a tunnel's"))
    return base
