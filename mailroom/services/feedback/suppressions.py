"""Look up, add and lift suppressions for people: a single address, many, or a file."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.consent import ConsentAct, ConsentEntry
from mailroom.domain.errors import Fault, InvalidInput, SuppressionNotFound
from mailroom.domain.lists.rows import RefusedRow
from mailroom.domain.suppressions import ALL, Suppression, check_entry
from mailroom.storage import consents, suppressions, topics
from mailroom.storage.database import Db, server_now

log = structlog.get_logger()
_A_STEP: Final = 1_000
MOST_ROWS: Final = 200_000  # of a file, or addresses of one removal
_MOST_REPORTED: Final = 1_000
_ADDRESS: Final = ("address", "email", "emailaddress", "recipient")
_COLUMNS: Final = {"reason": "reason", "scope": "scope"}


@dataclass(slots=True)
class Imported:
    """The result of an import. `added`, `unchanged`: entries that are new, or were stored already. `refused`: the first
    thousand refused rows; `refused_count` counts all."""

    added: int = 0
    unchanged: int = 0
    refused: list[RefusedRow] = field(default_factory=list)
    refused_count: int = 0


def page(db: Db, *, before: tuple[datetime, str] | None, limit: int) -> list[Suppression]:
    """Suppressions, newest first. `before`: the (time, address) of the last one of the previous page."""
    return suppressions.page(db, before=before, limit=limit)


def get(db: Db, address: str) -> Suppression:
    """Raises SuppressionNotFound."""
    suppression = suppressions.get(db, address)
    if suppression is None:
        raise SuppressionNotFound(address)
    return suppression


def find(db: Db, address: str) -> Suppression | None:
    return suppressions.get(db, address)


def add(db: Db, raw: Mapping[str, object], *, by: str) -> Suppression:
    """Suppress an address in a scope. An entry already stored for the scope stays. Raises InvalidInput."""
    address, entry = check_entry(raw, by=by, now=server_now(db), topics=topics.ids(db))
    stored = suppressions.get(db, address)
    suppressions.add(db, [(address, entry)])
    if stored is None or entry.scope not in {one.scope for one in stored.entries}:
        _journal(db, ConsentAct.LEFT, [(address, entry.scope)], by=by)
    log.info("suppression_added", scope=entry.scope, by=by)
    return get(db, address)


def add_file(db: Db, text: str, *, by: str, advance: Callable[[int], None] = lambda _: None) -> Imported:
    """Add the rows of a CSV file with a column for the address, and optionally `reason` and `scope`; or of a file with
    an address on each line. Wrong rows are reported, the others are added. `advance` is called with the number of each
    batch of rows. Raises InvalidInput for any other file."""
    rows, done, now, known = _rows(text), Imported(), server_now(db), topics.ids(db)
    while batch := list(islice(rows, _A_STEP)):
        entries = {}
        for number, raw in batch:
            try:
                key, entry = check_entry(raw, by=by, now=now, topics=known)
                entries[key, entry.scope] = (key, entry)
            except InvalidInput as error:
                done.refused_count += 1
                if len(done.refused) < _MOST_REPORTED:
                    words = "; ".join(str(fault.message) for fault in error.faults)
                    done.refused.append(RefusedRow(number, str(raw.get("address") or "")[:254], words))
        stored = suppressions.entries_among(db, [key for key, _ in entries])
        stored_keys = {(key, entry.scope) for key, of_address in stored for entry in of_address}
        suppressions.add(db, list(entries.values()))
        _journal(db, ConsentAct.LEFT, list(entries.keys() - stored_keys), by=by)
        done.added += len(entries.keys() - stored_keys)
        done.unchanged += len(entries.keys() & stored_keys)
        advance(len(batch))
    log.info("suppressions_imported", added=done.added, refused=done.refused_count, by=by)
    return done


def remove(db: Db, address: str, *, scope: str | None = None, by: str) -> bool:
    """Lift the suppression of an address in a scope; None: in all scopes. False if it was not suppressed there."""
    return remove_many(db, [address], scope=scope, by=by)[0] > 0


def remove_many(
    db: Db,
    addresses: Sequence[str],
    *,
    scope: str | None = None,
    by: str,
    advance: Callable[[int], None] = lambda _: None,
) -> tuple[int, list[str]]:
    """Lift many suppressions. Returns (the number of lifted addresses, the addresses that were not suppressed in the
    scope). Raises InvalidInput."""
    if len(addresses) > MOST_ROWS:
        raise InvalidInput(Fault("addresses", f"at most {MOST_ROWS:,}"))
    distinct = {fold(address): address for address in addresses}
    removed: set[str] = set()
    keys = iter(distinct)
    while batch := list(islice(keys, _A_STEP)):
        held = [
            (key, entry.scope)
            for key, entries in suppressions.entries_among(db, batch)
            for entry in entries
            if scope in (None, entry.scope)
        ]
        removed |= set(suppressions.remove(db, batch, scope))
        _journal(db, ConsentAct.JOINED, list(dict.fromkeys(held)), by=by)
        advance(len(batch))
    return len(removed), [address for key, address in distinct.items() if key not in removed]


def _journal(db: Db, act: ConsentAct, changed: Sequence[tuple[str, str]], *, by: str) -> None:
    """Record what a person did for readers. `changed`: folded addresses, each with a scope. An entry for every mail is
    no consent: the mailbox does not exist, or nothing at all shall go there."""
    now = server_now(db)
    consents.add(db, [ConsentEntry(key, act, scope, now, by, None) for key, scope in changed if scope != ALL])


def _rows(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of the file, each with its line number, from 1. Raises InvalidInput."""
    text = text.lstrip("\ufeff")
    first = text.lstrip().partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=separator)
    names: list[str] | None = None
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if reader.line_num > MOST_ROWS:
                raise InvalidInput(Fault("body", f"at most {MOST_ROWS:,} rows"))
            if names is None:
                names = _names(cells)
                if "address" not in names:
                    raise InvalidInput(
                        Fault("body", "the first row holds no address, and names no column 'address' or 'email'")
                    )
                if not any("@" in cell for cell in cells):
                    continue
            yield reader.line_num, dict(zip(names, (cell.strip() for cell in cells), strict=False))
    except csv.Error as error:
        raise InvalidInput(Fault("body", f"line {reader.line_num}: {error}")) from None


def _names(cells: Sequence[str]) -> list[str]:
    """The names of the columns, by the first row. If that row holds an address, the file has no header: the columns are
    then address, reason and scope."""
    if any("@" in cell for cell in cells):
        return ["address", "reason", "scope"]
    plain = ["".join(c for c in cell.lower() if c.isalnum()) for cell in cells]
    return ["address" if name in _ADDRESS else _COLUMNS.get(name, f"column {n}") for n, name in enumerate(plain)]
