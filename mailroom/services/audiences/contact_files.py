"""Contacts of an audience from a file: CSV, or one address a line. The columns are read as they are proposed.

The file is read a line at a time, and looked at whole before its contacts are stored in steps. Memory does not grow
with it. What is cut off is repeated: what is stored already does not change, and costs one read for each thousand
contacts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple

from mailroom.domain.audiences import Recipient, Sifted, sift
from mailroom.domain.contacts import joining
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.lists.reading import look_at, rows_of
from mailroom.domain.lists.rows import Read, RefusedRow
from mailroom.domain.lists.texts import ListData
from mailroom.services.audiences import contacts
from mailroom.services.audiences.contacts import Added
from mailroom.services.audiences.recipients_on_disk import RecipientsOnDisk
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


def add(
    db: Db, audience: AudienceId, data: ListData, how: Adding, *, advance: Callable[[int], None] = lambda _: None
) -> Added:
    """Let everybody in the file be in the audience. For a repeated address the first line wins. `advance` is called
    with the number of lines that were read, and with the number of contacts of each step.

    Raises AudienceNotFound; InvalidInput with the first refused lines, or because the file cannot be read;
    SendersTooOld, Unavailable: then the same again stores the rest."""
    audiences.get(db, audience)
    put = _would_put if how.dry_run else _put
    added = changed = unchanged = 0
    with RecipientsOnDisk() as recipients:
        sifted = _sifted(data, recipients, advance)
        if sifted.refused_count and how.on_invalid == "refuse" and not how.dry_run:
            raise InvalidInput(*_faults(sifted.refused))
        for step in _steps(iter(recipients)):
            done = put(db, audience, step, source=how.source)
            added, changed, unchanged = added + done.added, changed + done.changed, unchanged + done.unchanged
            advance(len(step))
    return Added(added, changed, unchanged, sifted.refused, sifted.refused_count)


def _sifted(data: ListData, recipients: RecipientsOnDisk, advance: Callable[[int], None]) -> Sifted:
    """Raises InvalidInput for what is no list."""
    sifted = sift(counted(rows_of(data, look_at(data)), advance), recipients.add, path=_PATH)
    if not sifted.recipients:
        raise InvalidInput(Fault(_PATH, "no line of this file can be taken"), *_faults(sifted.refused))
    return sifted


def counted(rows: Iterable[Read], advance: Callable[[int], None]) -> Iterator[Read]:
    """The same rows. `advance` is called with the number of each step of them."""
    for number, row in enumerate(rows, 1):
        yield row
        if number % contacts.A_STEP == 0:
            advance(contacts.A_STEP)


def _faults(refused: Iterable[RefusedRow]) -> Iterator[Fault]:
    return (Fault(f"line {row.row}", row.message) for row in refused)


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
