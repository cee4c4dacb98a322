"""Signed webhooks from threads of their own, tried again as Mailgun does: 406 stops, anything but 200 comes again."""

import hashlib
import hmac
import json
import queue
import random
import secrets
import sqlite3
import threading
import time
from typing import Any, Final

import urllib3

from simulator.behaviour import Behaviour
from simulator.event_log import item
from simulator.store import Store

RETRIES_S: Final = (300, 600, 900, 3600, 7200, 14_400)
_THREADS: Final = 12
_AT_ONCE: Final = 500
_TIMEOUT_S: Final = 20
_HEADERS: Final = {"Content-Type": "application/json"}


def signed(event: dict[str, Any], key: str, token: str, *, now: float) -> dict[str, Any]:
    """The body of a webhook. The signature covers timestamp and token only, as Mailgun's does."""
    timestamp = str(int(now))
    digest = hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    return {"signature": {"timestamp": timestamp, "token": token, "signature": digest}, "event-data": event}


class WebhookSender:
    """Reads what is due, hands it to threads, removes what was taken."""

    def __init__(self, store: Store, behaviour: Behaviour, signing_key: str) -> None:
        self._store, self._behaviour, self._key = store, behaviour, signing_key
        self._work: queue.Queue[tuple[sqlite3.Row, dict[str, Any]]] = queue.Queue(maxsize=4 * _AT_ONCE)
        self._done: queue.SimpleQueue[tuple[int, float | None]] = queue.SimpleQueue()
        self._given: set[int] = set()
        self._stop = threading.Event()

    def start(self) -> None:
        threads = [threading.Thread(target=self._post_all, daemon=True) for _ in range(_THREADS)]
        threads.append(threading.Thread(target=self._read_all, daemon=True))
        for thread in threads:
            thread.start()

    def _read_all(self) -> None:
        while not self._stop.is_set():
            self._settle()
            due = [row for row in self._due() if row["hook_id"] not in self._given]
            if self._behaviour.knobs.shuffle_webhooks:
                random.shuffle(due)
            for row in due:
                self._given.add(row["hook_id"])
                self._work.put((row, item(row)))
            if not due:
                self._stop.wait(0.05)

    def _due(self) -> list[sqlite3.Row]:
        return self._store.rows(
            "SELECT h.id AS hook_id, h.url, h.tries, h.token, e.*, m.user_variables, m.subject, m.to_header, c.sender,"
            " c.tags FROM hooks h JOIN events e ON e.id = h.event LEFT JOIN mails m ON m.id = e.mail_id"
            " LEFT JOIN calls c ON c.id = m.call_id WHERE h.due_at <= ? ORDER BY h.due_at LIMIT ?",
            (time.time(), _AT_ONCE + len(self._given)),
        )

    def _settle(self) -> None:
        """Write down in bulk what became of webhooks: gone, or due again."""
        gone: list[tuple[Any, Any]] = []
        again: list[tuple[Any, Any]] = []
        while not self._done.empty():
            hook, due_at = self._done.get()
            (gone if due_at is None else again).append((hook, due_at))
        if not gone and not again:
            return
        with self._store.transaction() as db:
            db.executemany("DELETE FROM hooks WHERE id = ?", [(hook,) for hook, _ in gone])
            fresh = self._behaviour.knobs.new_token_on_retry
            for hook, due_at in again:
                db.execute("UPDATE hooks SET due_at = ?, tries = tries + 1 WHERE id = ?", (due_at, hook))
                if fresh:
                    db.execute("UPDATE hooks SET token = ? WHERE id = ?", (secrets.token_hex(25), hook))
        self._given -= {hook for hook, _ in [*gone, *again]}

    def _post_all(self) -> None:
        connections = urllib3.PoolManager(timeout=_TIMEOUT_S, retries=False)
        while not self._stop.is_set():
            row, event = self._work.get()
            times = 2 if self._behaviour.knobs.duplicate_webhooks else 1
            for _ in range(times):
                due_at = self._post(connections, row, event)
            self._done.put((row["hook_id"], due_at))

    def _post(self, connections: urllib3.PoolManager, row: sqlite3.Row, event: dict[str, Any]) -> float | None:
        """None when it was taken or refused for good; else when to try again."""
        body = json.dumps(signed(event, self._key, row["token"], now=time.time()))
        try:
            if connections.request("POST", row["url"], body=body, headers=_HEADERS).status in (200, 406):
                return None
        except urllib3.exceptions.HTTPError:
            pass
        if row["tries"] >= len(RETRIES_S):
            return None
        return time.time() + RETRIES_S[row["tries"]] * self._behaviour.knobs.webhook_retry_scale
