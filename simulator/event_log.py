"""The event log as Mailgun shows it: items, filters, pages that end with an empty one."""

import base64
import json
import re
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

from simulator.store import Store, loads

MAX_LIMIT: Final = 300
_SEVERITY_LEVEL: Final = {"temporary": "warn", "permanent": "error", None: "info"}


class BadQuery(Exception):
    """A 400 with Mailgun's words."""


_COLUMNS: Final = {
    "event": "e.kind",
    "recipient": "e.recipient",
    "message-id": "e.message_id",
    "severity": "e.severity",
}
_PAGING: Final = {"begin", "end", "ascending", "limit", "page", "after", "pretty"}
_SELECT: Final = (
    "SELECT e.*, m.user_variables, m.subject, m.to_header, c.sender, c.tags FROM events e"
    " LEFT JOIN mails m ON m.id = e.mail_id LEFT JOIN calls c ON c.id = m.call_id"
)


def page(store: Store, query: Mapping[str, str], *, now: float) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The items of one page, and the cursor tokens of the next and the previous one. Raises BadQuery."""
    if "page" in query:
        query = json.loads(base64.urlsafe_b64decode(query["page"]))
    unknown = query.keys() - _COLUMNS.keys() - _PAGING
    if unknown:  # a filter that was ignored would find what was not asked for
        raise BadQuery(f"the simulator does not know the filter '{min(unknown)}'")
    ascending, begin, end = _bounds(query, now)
    limit = min(_number(query.get("limit", "100"), "limit"), MAX_LIMIT)
    where, arguments = _filters(query)
    where += ["e.visible_at <= ?", "e.at >= ?", "e.at <= ?"]
    arguments += [now, begin, end]
    if "after" in query:
        at, id_ = query["after"].split("/")
        where.append("(e.at, e.id) > (?, ?)" if ascending else "(e.at, e.id) < (?, ?)")
        arguments += [float(at), int(id_)]
    direction = "ASC" if ascending else "DESC"
    sql = f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY e.at {direction}, e.id {direction} LIMIT ?"
    rows = store.rows(sql, [*arguments, limit])
    base = {key: value for key, value in query.items() if key not in ("page", "after")}
    following = base | ({"after": f"{rows[-1]['at']!r}/{rows[-1]['id']}"} if rows else _same_place(query))
    tokens = {"next": _token(following), "previous": _token(base), "first": _token(base), "last": _token(following)}
    return [item(row) for row in rows], tokens


def item(row: Any) -> dict[str, Any]:
    """One event as the API and the webhooks show it."""
    extra = loads(row["extra"])
    only_id = row["kind"] in ("opened", "clicked", "unsubscribed")
    headers: dict[str, Any] = {"message-id": row["message_id"]}
    if not only_id:
        headers |= {"to": row["to_header"], "from": row["sender"], "subject": row["subject"]}
    shown: dict[str, Any] = {
        "event": row["kind"],
        "id": row["event_id"],
        "timestamp": row["at"],
        "log-level": _SEVERITY_LEVEL[row["severity"]],
        "recipient": row["recipient"],
        "recipient-domain": row["recipient"].rpartition("@")[2],
        "tags": loads(row["tags"]) or [],
        "campaigns": [],
        "user-variables": loads(row["user_variables"]),
        "message": {"headers": headers, "attachments": [], "size": 0} if not only_id else {"headers": headers},
    }
    if row["kind"] in ("accepted", "delivered", "failed"):
        shown["envelope"] = {"transport": "smtp", "sender": row["sender"], "targets": row["recipient"]}
        shown["flags"] = {"is-routed": False, "is-authenticated": True, "is-system-test": False, "is-test-mode": False}
    flags = {**shown.get("flags", {}), **extra.pop("flags", {})}
    return {**shown, **extra, **({"flags": flags} if flags else {})}


def _bounds(query: Mapping[str, str], now: float) -> tuple[bool, float, float]:
    begin = _moment(query["begin"]) if "begin" in query else None
    end = _moment(query["end"]) if "end" in query else None
    asked = {"yes": True, "true": True, "no": False, "false": False}.get(query.get("ascending", ""))
    if begin is not None and end is not None:
        rising = begin <= end
        if asked is not None and asked != rising:
            raise BadQuery("'ascending' contradicts 'begin' and 'end'")
        return rising, min(begin, end), max(begin, end)
    if begin is not None and asked is None:
        raise BadQuery("'ascending' must be given when only 'begin' is")
    if begin is not None:
        return (True, begin, 1e12) if asked else (False, 0.0, begin)
    return bool(asked), 0.0, end if end is not None else 1e12


def _filters(query: Mapping[str, str]) -> tuple[list[str], list[Any]]:
    """`event=failed OR rejected` and plain values; the words AND and NOT and parentheses are not simulated."""
    where, arguments = ["1"], []
    for name, column in _COLUMNS.items():
        if name in query:
            values = [value.strip().strip('"') for value in re.split(r"\s+OR\s+", query[name])]
            where.append(f"{column} IN ({', '.join('?' * len(values))})")
            arguments += values
    return where, arguments


def _same_place(query: Mapping[str, str]) -> dict[str, str]:
    """The next URL of an empty page yields newer events later, from the same place on."""
    return {"after": query["after"]} if "after" in query else {}


def _moment(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        raise BadQuery(f"'{text}' is not a date") from None


def _number(text: str, name: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise BadQuery(f"'{name}' is not a valid number")
    return int(text)


def _token(query: Mapping[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(dict(query)).encode()).decode()


def recent(store: Store, mail_ids: Sequence[int]) -> dict[int, list[tuple[str, float]]]:
    """What happened to these copies, for the inbox."""
    found: dict[int, list[tuple[str, float]]] = {}
    marks = ", ".join("?" * len(mail_ids))
    sql = f"SELECT mail_id, kind, at FROM events WHERE mail_id IN ({marks}) AND at <= ? ORDER BY at"  # noqa: S608
    for row in store.rows(sql, [*mail_ids, time.time()]):
        found.setdefault(row["mail_id"], []).append((row["kind"], row["at"]))
    return found
