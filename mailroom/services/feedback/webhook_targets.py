"""Our public URL pushed to a provider as the target of its webhooks, and whether a test event arrives there."""

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import structlog

from mailroom.domain.errors import Fault, InvalidInput, Unavailable
from mailroom.providers.webhook_setup import Target
from mailroom.services.common.sending_switch import require_sending
from mailroom.storage import webhook_targets
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()
LONGEST_WAIT_S: Final = 60
_LOOK_S: Final = 0.25
_NOTED_EVERY_S: Final = 1.0
_MOST_NOTED: Final = 100
_MOST_MARK: Final = 32


class Arrivals:
    """Notes when verified webhooks come, each provider once a second at most. For many threads."""

    def __init__(self, db: Db) -> None:
        self._db, self._lock = db, threading.Lock()
        self._noted_at: dict[str, float] = {}

    def note(self, provider: str, mark: str = "") -> None:
        """Note that a verified webhook came. `mark`: of the address that it came to. Never raises: the webhook itself
        is stored already."""
        key = f"{provider} {mark[:_MOST_MARK]}"
        with self._lock:
            if time.monotonic() - self._noted_at.get(key, float("-inf")) < _NOTED_EVERY_S:
                return
            if len(self._noted_at) >= _MOST_NOTED:
                self._noted_at.clear()
            self._noted_at[key] = time.monotonic()
        try:
            webhook_targets.arrived(self._db, provider, mark[:_MOST_MARK], now=server_now(self._db))
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
    """Push `base`/webhooks/`provider` in the place of what was pushed before, then wait for a test event to come there.

    The pushed address carries a mark: an event that comes to any other address, such as one that a person has set at
    the provider, says nothing about this one. The same address keeps its mark.

    Raises InvalidInput, SendingStopped, Unavailable.
    """
    require_sending(db)  # the event is brought by a mail, though in test mode
    url = f"{_checked(base)}/webhooks/{provider}"
    began, since = time.monotonic(), server_now(db)
    known = webhook_targets.every(db).get(provider, {})
    same = known.get("url") == url and known.get("mark")
    mark = known["mark"] if same else secrets.token_hex(8)
    marked = f"{url}?mark={mark}"
    target.push(marked, instead_of=known.get("pushed_url") or known.get("url") or "")
    webhook_targets.pushed(db, provider, url, marked, mark, by=by, now=since)
    target.ask_for_event(marked, f"webhook-test-{secrets.token_hex(8)}")
    while (waited := time.monotonic() - began) < wait_s:
        if _arrived(db, provider, mark, since):
            log.info("webhook_target_works", provider=provider, url=url, by=by)
            return Pushed(provider, url, waited)
        sleep(_LOOK_S)
    log.warning("webhook_target_silent", provider=provider, url=url, waited_s=wait_s)
    return Pushed(provider, url, None)


def listing(db: Db) -> dict[str, Mapping[str, Any]]:
    """By provider: `url`, `pushed_at` and `arrived_at`, as far as they are known."""
    return webhook_targets.every(db)


def _arrived(db: Db, provider: str, mark: str, since: datetime) -> bool:
    known = webhook_targets.every(db).get(provider, {})
    # A webhook that came to this address just before `since` may be the last one noted for a second, and counts too.
    at, since = known.get("marked_at"), since - timedelta(seconds=_NOTED_EVERY_S)
    return known.get("mark") == mark and at is not None and at >= since


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
