"""The witness's record: one SQLite file, written before any answer is given.

calls   one row per accepted call: its body, once; the To and Cc that everybody sees; its files by digest
mails   one row per copy that went out: recipient, rendered subject, variables (`test`: evented, not sent)
events  the event log; visible from `visible_at` on
hooks   webhooks still to be sent
targets the URLs that webhooks go to
suppressions  bounces, complaints, unsubscribes
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS calls (
    id INTEGER PRIMARY KEY, message_id TEXT, accepted_at REAL, recipients INTEGER, sender TEXT, subject TEXT,
    text TEXT, html TEXT, headers TEXT, variables TEXT, tags TEXT, test_mode INTEGER, shown TEXT, files TEXT);
CREATE INDEX IF NOT EXISTS calls_message_id ON calls (message_id);
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY, call_id INTEGER, recipient TEXT, to_header TEXT, subject TEXT, recipient_variables TEXT,
    user_variables TEXT, accepted_at REAL, test INTEGER DEFAULT 0);
CREATE INDEX IF NOT EXISTS mails_recipient ON mails (recipient);
CREATE INDEX IF NOT EXISTS mails_call ON mails (call_id);
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, event_id TEXT, mail_id INTEGER, kind TEXT, severity TEXT, at REAL, visible_at REAL,
    recipient TEXT, message_id TEXT, extra TEXT);
CREATE INDEX IF NOT EXISTS events_at ON events (at, id);
CREATE INDEX IF NOT EXISTS events_message ON events (message_id);
CREATE TABLE IF NOT EXISTS hooks (
    id INTEGER PRIMARY KEY, event INTEGER, url TEXT, due_at REAL, tries INTEGER, token TEXT);
CREATE INDEX IF NOT EXISTS hooks_due ON hooks (due_at);
CREATE TABLE IF NOT EXISTS targets (kind TEXT, url TEXT, PRIMARY KEY (kind, url));
CREATE TABLE IF NOT EXISTS suppressions (
    list TEXT, address TEXT, code TEXT, error TEXT, created_at REAL, PRIMARY KEY (list, address));
"""


class Store:
    """Thread-safe: one connection, one writer at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._lock = threading.RLock()
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)
        present = {row["name"] for row in self._db.execute("PRAGMA table_info(calls)")}
        for name in {"shown", "files"} - present:  # a file of an earlier version
            self._db.execute(f"ALTER TABLE calls ADD COLUMN {name} TEXT")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing; on the disk of this machine when it returns."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def rows(self, sql: str, arguments: Sequence[Any] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(sql, arguments).fetchall()

    def row(self, sql: str, arguments: Sequence[Any] = ()) -> sqlite3.Row | None:
        found = self.rows(sql, arguments)
        return found[0] if found else None

    def targets(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in self.rows("SELECT kind, url FROM targets ORDER BY rowid"):
            found.setdefault(row["kind"], []).append(row["url"])
        return found

    def add_target(self, url: str, kinds: Iterable[str]) -> None:
        with self.transaction() as db:
            db.executemany("INSERT OR IGNORE INTO targets VALUES (?, ?)", [(kind, url) for kind in kinds])

    def suppressed(self, addresses: Iterable[str]) -> dict[str, str]:
        """Those of the addresses on a list, with the list's name."""
        wanted = {address.lower() for address in addresses}
        every = self.rows("SELECT list, address FROM suppressions")
        return {row["address"]: row["list"] for row in every if row["address"] in wanted}

    def suppress(self, list_: str, address: str, *, code: str = "550", error: str = "", at: float) -> None:
        with self.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO suppressions VALUES (?, ?, ?, ?, ?)", (list_, address.lower(), code, error, at)
            )


def loads(text: str | None) -> Any:
    return json.loads(text) if text else {}
