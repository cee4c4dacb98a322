"""Register our public URL at a provider as the target of its webhooks, and wait for a test event there."""

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import structlog

from mailroom.domain.errors import Fault, InvalidInput, Unavailable
from mailroom.providers.webhook_setup import NoTestEvent, Target
from mailroom.services.common.sending_switch import require_sending
from mailroom.storage import webhook_targets
from mailroom.storage.database import Db, server_now
from mailroom.storage.webhook_targets import NOT_PUSHED, WebhookTarget

log = structlog.get_logger()
LONGEST_WAIT_S: Final = 60
_LOOK_S: Final = 0.25
_NOTED_EVERY_S: Final = 1.0
_MOST_NOTED: Final = 100
_MOST_MARK: Final = 32


class Arrivals:
    """Notes the arrivals of verified webhooks, at most once a second for each provider and mark. Thread-safe."""

    def __init__(self, db: Db) -> None:
        self._db, self._lock = db, threading.Lock()
        self._noted_at: dict[str, float] = {}

    def note(self, provider: str, mark: str = "") -> None:
        """Note the arrival of a verified webhook. `mark`: the mark in the URL that it came to. Unavailable is only
        logged: the webhook itself is stored already."""
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
    """The registered URL, and the seconds until a test event arrived; None if no test event arrived. `asked`: False if
    the provider has no test event; the next mail's events show whether webhooks arrive."""

    provider: str
    url: str
    arrived_after_s: float | None
    asked: bool = True


def push(
    db: Db, target: Target, provider: str, base: str, *, by: str, wait_s: float, sleep: Callable[[float], None]
) -> Pushed:
    """Register `base`/webhooks/`provider` in the place of the earlier URL, then wait up to `wait_s` seconds for a test
    event there, if the provider has one.

    The registered URL carries a mark: an event that arrives at any other URL, such as a URL that a person has set at
    the provider, proves nothing about this URL. The mark of an unchanged URL stays the same.

    Raises InvalidInput, SendingStopped, Unavailable.
    """
    require_sending(db)  # a mail causes the event, though in test mode
    url = f"{_checked(base)}/webhooks/{provider}"
    began, since = time.monotonic(), server_now(db)
    earlier = webhook_targets.every(db).get(provider, NOT_PUSHED)
    mark = earlier.mark if earlier.mark and earlier.url == url else secrets.token_hex(8)
    marked = f"{url}?mark={mark}"
    target.push(marked, instead_of=earlier.pushed_url or earlier.url or "")
    webhook_targets.pushed(db, provider, url, marked, mark, by=by, now=since)
    try:
        target.ask_for_event(marked, f"webhook-test-{secrets.token_hex(8)}")
    except NoTestEvent as error:
        log.info("webhook_target_set", provider=provider, url=url, untested=str(error), by=by)
        return Pushed(provider, url, None, asked=False)
    while (waited := time.monotonic() - began) < wait_s:
        if _arrived(db, provider, mark, since):
            log.info("webhook_target_works", provider=provider, url=url, by=by)
            return Pushed(provider, url, waited)
        sleep(_LOOK_S)
    log.warning("webhook_target_silent", provider=provider, url=url, waited_s=wait_s)
    return Pushed(provider, url, None)


def listing(db: Db) -> dict[str, WebhookTarget]:
    """The known webhook targets, by provider."""
    return webhook_targets.every(db)


def _arrived(db: Db, provider: str, mark: str, since: datetime) -> bool:
    target = webhook_targets.every(db).get(provider, NOT_PUSHED)
    # Arrivals are noted once a second at most, so a webhook noted up to a second before `since` counts too.
    at, since = target.marked_at, since - timedelta(seconds=_NOTED_EVERY_S)
    return target.mark == mark and at is not None and at >= since


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
