"""Contacts of an audience from a file: CSV, or one address a line. The columns are read as they are proposed.

The file is read twice, a line at a time: first it is looked at whole, then its contacts are stored in steps. Beside the
file's own bytes, memory grows by its addresses. What is cut off is repeated: what is stored already does not
change, and costs one read for each thousand contacts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, NamedTuple

from mailroom.domain.audiences import MAX_REFUSED, MAX_TOLD, Recipient, judge
from mailroom.domain.contacts import joining
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_RECIPIENTS
from mailroom.domain.lists.reading import Look, look_at, rows_of
from mailroom.domain.lists.rows import RefusedRow
from mailroom.services.audiences import contacts
from mailroom.services.audiences.contacts import Added
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import members
from mailroom.storage.database import Db, server_now

_PATH: Final = "body"


class Adding(NamedTuple):
    """How a file is added. `on_invalid`: `refuse` stores nothing if a line cannot be taken, `skip` leaves it out.
    `dry_run`: nothing is stored; the numbers are those that would be."""

    on_invalid: str = "refuse"
    dry_run: bool = False
    source: str = "import"


@dataclass(slots=True)
class _Looked:
    """A file that was looked at: its lines, and those that cannot be taken (`refused`: the first)."""

    lines: int = 0
    refused_count: int = 0
    refused: list[RefusedRow] = field(default_factory=list)


def add(
    db: Db, audience: AudienceId, data: bytes, how: Adding, *, advance: Callable[[int], None] = lambda _: None
) -> Added:
    """Let everybody in the file be in the audience. For a repeated address the first line wins. `advance` is called
    with the number of lines of each step, of both readings.

    Raises AudienceNotFound; InvalidInput with the first refused lines, or because the file cannot be read;
    SendersTooOld, Unavailable: then the same again stores the rest."""
    audiences.get(db, audience)
    look = look_at(data)
    looked = _looked_at(data, look, advance)
    if looked.refused_count and how.on_invalid == "refuse" and not how.dry_run:
        raise InvalidInput(*_faults(looked.refused))
    put = _would_put if how.dry_run else _put
    added = changed = unchanged = 0
    for step in _steps(_recipients(data, look)):
        done = put(db, audience, step, source=how.source)
        added, changed, unchanged = added + done.added, changed + done.changed, unchanged + done.unchanged
        advance(len(step))
    return Added(added, changed, unchanged, looked.refused, looked.refused_count)


def _looked_at(data: bytes, look: Look, advance: Callable[[int], None]) -> _Looked:
    """Read the file once, and keep nothing of it. Raises InvalidInput for what is no list."""
    looked = _Looked()
    for looked.lines, judged in enumerate(judge(rows_of(data, look)), 1):
        if looked.lines % contacts.A_STEP == 0:
            advance(contacts.A_STEP)
        if looked.lines > MAX_RECIPIENTS:
            raise InvalidInput(Fault(_PATH, f"at most {MAX_RECIPIENTS:,} contacts"))
        if isinstance(judged, Recipient):
            continue
        looked.refused_count += 1
        if looked.refused_count <= MAX_TOLD:
            looked.refused.append(judged)
        if looked.refused_count > MAX_REFUSED:
            raise InvalidInput(
                Fault(_PATH, f"more than {MAX_REFUSED:,} lines cannot be taken: is this the right file?")
            )
    if looked.lines == looked.refused_count:
        raise InvalidInput(Fault(_PATH, "no line of this file can be taken"), *_faults(looked.refused))
    return looked


def _faults(refused: Iterable[RefusedRow]) -> Iterator[Fault]:
    return (Fault(f"line {row.row}", row.message) for row in refused)


def _recipients(data: bytes, look: Look) -> Iterator[Recipient]:
    """Each address once."""
    seen: set[str] = set()
    for judged in judge(rows_of(data, look)):
        if isinstance(judged, Recipient) and judged.key not in seen:
            seen.add(judged.key)
            yield judged


def _steps(recipients: Iterator[Recipient]) -> Iterator[Sequence[Recipient]]:
    while step := list(islice(recipients, contacts.A_STEP)):
        yield step


def _put(db: Db, audience: AudienceId, step: Sequence[Recipient], *, source: str) -> Added:
    return contacts.add_checked(db, audience, step, source=source)


def _would_put(db: Db, audience: AudienceId, step: Sequence[Recipient], *, source: str) -> Added:
    """What `_put` would do."""
    current = members.contacts_of(db, audience, [recipient.key for recipient in step])
    changes = joining(current, step, at=server_now(db), source=source)
    joined = sum(change.before is None for change in changes)
    return Added(joined, len(changes) - joined, len(step) - len(changes))
