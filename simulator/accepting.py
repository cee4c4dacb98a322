"""An accepted call becomes copies in the record, events in the log and webhooks to be sent, in one transaction."""

import json
import secrets
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from simulator.files import keep_pictures
from simulator.requests import Call, fill_in
from simulator.store import Store

# A recipient whose local part says so behaves so, as with other providers' test addresses.
_BOUNCES: Final = "bounce"
_DEFERS: Final = "defer"
_LISTS: Final = {
    "bounces": ("suppress-bounce", 605, "Not delivering to previously bounced address"),
    "unsubscribes": ("suppress-unsubscribe", 606, "Not delivering to unsubscribed address"),
    "complaints": ("suppress-complaint", 607, "Not delivering to a user who marked your messages as spam"),
}
# Which webhook type carries an event of this kind and severity.
HOOK_TYPES: Final = {
    ("accepted", None): "accepted",
    ("delivered", None): "delivered",
    ("opened", None): "opened",
    ("clicked", None): "clicked",
    ("unsubscribed", None): "unsubscribed",
    ("complained", None): "complained",
    ("failed", "temporary"): "temporary_fail",
    ("failed", "permanent"): "permanent_fail",
}

EventRow = tuple[Any, ...]


def accept(store: Store, call: Call, *, domain: str, at: float, delivery_s: float, lag_s: float) -> str:
    """Record the call and what follows from it. Returns the message id, without brackets."""
    message_id = call.headers.get("Message-Id", "").strip().strip("<>") or _new_message_id(domain, at)
    suppressed = store.suppressed([address for _, address in call.to])
    with store.transaction() as db:
        call_id = _insert_call(db, call, message_id, at)
        keep_pictures(db, call.files)
        mails = _insert_mails(db, call, call_id, at)
        events: list[EventRow] = []
        for mail_id, address in mails:
            events.append(_row(mail_id, "accepted", None, at, lag_s, address, message_id, {"method": "http"}))
            list_ = suppressed.get(address.lower())
            begins = max(at, call.deliver_at or at)
            events += _fate(mail_id, address, message_id, begins, delivery_s, lag_s, list_, test=call.test_mode)
        add_events(db, events)
        for _, address in mails:
            if address.split("@")[0].startswith(_BOUNCES) and not call.test_mode:
                db.execute(
                    "INSERT OR IGNORE INTO suppressions VALUES ('bounces', ?, '550', 'No such mailbox', ?)",
                    (address.lower(), at),
                )
    return message_id


def add_event(store: Store, mail: sqlite3.Row, kind: str, *, at: float, lag_s: float, extra: dict[str, Any]) -> None:
    """One more event about a copy, such as an open."""
    severity = extra.get("severity")
    row = _row(mail["id"], kind, severity, at, lag_s, mail["recipient"], mail["message_id"], extra)
    with store.transaction() as db:
        add_events(db, [row])


def add_events(db: sqlite3.Connection, rows: Sequence[EventRow]) -> None:
    """Write events into the log, and a webhook for each target of their kind."""
    first = (db.execute("SELECT MAX(id) FROM events").fetchone()[0] or 0) + 1
    numbered = [(first + index, *row) for index, row in enumerate(rows)]
    db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", numbered)
    targets: dict[str, list[str]] = {}
    for kind, url in db.execute("SELECT kind, url FROM targets"):
        targets.setdefault(kind, []).append(url)
    hooks = [
        (row[0], url, row[5], 0, secrets.token_hex(25))
        for row in numbered
        for url in targets.get(HOOK_TYPES.get((row[3], row[4]), ""), ())
    ]
    db.executemany("INSERT INTO hooks (event, url, due_at, tries, token) VALUES (?, ?, ?, ?, ?)", hooks)


def _insert_call(db: sqlite3.Connection, call: Call, message_id: str, at: float) -> int:
    cursor = db.execute(
        "INSERT INTO calls (message_id, accepted_at, recipients, sender, subject, text, html, headers, variables, tags,"
        " test_mode, shown, files) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message_id,
            at,
            len(call.to) + len(call.copies),
            call.sender,
            call.subject,
            call.text,
            call.html,
            json.dumps(dict(call.headers)),
            json.dumps(dict(call.variables)),
            json.dumps(list(call.tags)),
            int(call.test_mode),
            json.dumps(dict(call.shown)),
            json.dumps([one.record for one in call.files]),
        ),
    )
    return int(cursor.lastrowid or 0)


def _insert_mails(db: sqlite3.Connection, call: Call, call_id: int, at: float) -> list[tuple[int, str]]:
    """One copy per recipient. Without recipient variables everyone sees the whole To list."""
    first = (db.execute("SELECT MAX(id) FROM mails").fetchone()[0] or 0) + 1
    rows, made = [], []
    everybody = [*call.to, *(("", address) for address in call.copies)]
    for index, (name, address) in enumerate(everybody):
        variables = (call.recipient_variables or {}).get(address.lower(), {})
        batch = call.recipient_variables is not None
        to_header = (f"{name} <{address}>" if name else address) if batch else call.shown["to"]
        user = {key: fill_in(value, name, address, variables) for key, value in call.variables.items()}
        subject = fill_in(call.subject, name, address, variables) if batch else call.subject
        rows.append(
            (
                first + index,
                call_id,
                address,
                to_header,
                subject,
                json.dumps(variables),
                json.dumps(user),
                at,
                int(call.test_mode),
            )
        )
        made.append((first + index, address))
    db.executemany("INSERT INTO mails VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    return made


def _fate(
    mail_id: int,
    address: str,
    message_id: str,
    at: float,
    delivery_s: float,
    lag_s: float,
    list_: str | None,
    *,
    test: bool,
) -> list[EventRow]:
    """What becomes of a copy after its acceptance."""
    local, later = address.split("@")[0].lower(), at + delivery_s
    if list_:
        reason, code, words = _LISTS[list_]
        extra = {"severity": "permanent", "reason": reason, "delivery-status": {"code": code, "message": words}}
        return [_row(mail_id, "failed", "permanent", later, lag_s, address, message_id, extra)]
    if local.startswith(_BOUNCES):
        return [_row(mail_id, "failed", "permanent", later, lag_s, address, message_id, bounce_extra())]
    rows = []
    if local.startswith(_DEFERS):
        status = {"code": 450, "message": "4.2.1 Try again later", "enhanced-code": "4.2.1", "retry-seconds": 600}
        extra = {"severity": "temporary", "reason": "generic", "delivery-status": status}
        rows.append(_row(mail_id, "failed", "temporary", later, lag_s, address, message_id, extra))
        later += delivery_s
    delivered: dict[str, Any] = {"delivery-status": {"code": 250, "message": "OK", "attempt-no": 1, "tls": True}}
    if test:
        delivered["flags"] = {"is-test-mode": True}
    return [*rows, _row(mail_id, "delivered", None, later, lag_s, address, message_id, delivered)]


def bounce_extra(*, delayed: bool = False) -> dict[str, Any]:
    """What a permanent failure at the receiving side looks like."""
    status = {"code": 550, "message": "5.1.1 No such mailbox", "enhanced-code": "5.1.1", "attempt-no": 1}
    flags = {"flags": {"is-delayed-bounce": True}} if delayed else {}
    return {"severity": "permanent", "reason": "bounce", "delivery-status": status, **flags}


def _row(
    mail_id: int,
    kind: str,
    severity: str | None,
    at: float,
    lag_s: float,
    address: str,
    message_id: str,
    extra: dict[str, Any],
) -> EventRow:
    event_id = secrets.token_urlsafe(16)
    return (event_id, mail_id, kind, severity, at, at + lag_s, address, message_id, json.dumps(extra))


def _new_message_id(domain: str, at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y%m%d%H%M%S}.{secrets.token_hex(8).upper()}@{domain}"
