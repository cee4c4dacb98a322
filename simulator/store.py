"""The witness's record: one SQLite file, written before any answer is given.

calls   one row per accepted call: its body, once; the To and Cc that everybody sees; its files by digest
mails   one row per copy that went out: recipient, rendered subject, variables (`test`: evented, not sent)
events  the event log; visible from `visible_at` on
hooks   webhooks still to be sent
targets the URLs that webhooks go to
suppressions  bounces, complaints, unsubscribes
pictures      what the HTML of a mail shows by `cid:`, by digest
counts  how many calls, mails and events there are, and webhooks that wait
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
CREATE INDEX IF NOT EXISTS suppressions_address ON suppressions (address);
CREATE TABLE IF NOT EXISTS pictures (sha256 TEXT PRIMARY KEY, content BLOB);
CREATE TABLE IF NOT EXISTS counts (name TEXT PRIMARY KEY, many INTEGER);
"""
# What is counted, and which rows of it. Kept as rows come and go: after an hour a COUNT(*) reads hundreds of megabytes,
# and no call is taken in meanwhile.
_COUNTED: Final = {
    "calls": ("calls", "test_mode = 0"),
    "mails": ("mails", "test = 0"),
    "events": ("events", "id > 0"),
    "webhooks_waiting": ("hooks", "id > 0"),
}
_ADDRESSES_A_QUESTION: Final = 500


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
        for name, (table, condition) in _COUNTED.items():
            self._db.executescript(_counting(name, table, condition))

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

    def counts(self) -> dict[str, int]:
        """How many calls, mails and events there are, test mode left out, and how many webhooks wait."""
        return {row["name"]: row["many"] for row in self.rows("SELECT name, many FROM counts")}

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
        wanted, found = sorted({address.lower() for address in addresses}), dict[str, str]()
        for start in range(0, len(wanted), _ADDRESSES_A_QUESTION):
            some = wanted[start : start + _ADDRESSES_A_QUESTION]
            marks = ", ".join("?" * len(some))
            sql = f"SELECT list, address FROM suppressions WHERE address IN ({marks})"  # noqa: S608
            found |= {row["address"]: row["list"] for row in self.rows(sql, some)}
        return found

    def suppress(self, list_: str, address: str, *, code: str = "550", error: str = "", at: float) -> None:
        with self.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO suppressions VALUES (?, ?, ?, ?, ?)", (list_, address.lower(), code, error, at)
            )


def _counting(name: str, table: str, condition: str) -> str:
    """SQL that counts what a table has, once, and from then on each row that comes or goes."""

    def trigger(change: str, row: str, sign: str) -> str:
        when = f"{name}_{change} AFTER {change} ON {table} WHEN {row}.{condition}"
        update = f"UPDATE counts SET many = many {sign} 1 WHERE name = '{name}'"  # noqa: S608
        return f"CREATE TRIGGER IF NOT EXISTS {when} BEGIN {update}; END;"

    begin = f"INSERT OR IGNORE INTO counts SELECT '{name}', COUNT(*) FROM {table} WHERE {condition};"  # noqa: S608
    return begin + trigger("INSERT", "NEW", "+") + trigger("DELETE", "OLD", "-")


def loads(text: str | None) -> Any:
    return json.loads(text) if text else {}
