"""An audience as CSV: a line for each contact, in the order of the addresses, read a step at a time."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mailroom.domain.audiences import Value
from mailroom.domain.contacts import Contact
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_AUDIENCE_VARIABLES
from mailroom.domain.lists import spreadsheets
from mailroom.domain.lists.columns import EXPORT_ENDS_WITH
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import members
from mailroom.storage.database import Db

_A_STEP: Final = 5_000  # contacts
_OWN: Final = ("address", "name")


def lines_of(db: Db, audience: AudienceId, *, harmless: bool = False) -> Iterator[str]:
    """The file, in pieces of many lines: first the headings, then the contacts. Merge fields stand between the name and
    the other columns, by their names. `harmless`: a cell that a spreadsheet would take for a formula gets a quote.

    Raises AudienceNotFound before the first piece; Unavailable.
    """
    audiences.get(db, audience)
    audiences.count_names(db, audience, most=MAX_AUDIENCE_VARIABLES)
    fields = sorted(audiences.names(db, audience))
    return _pieces(db, audience, fields, harmless=harmless)


def _pieces(db: Db, audience: AudienceId, fields: Sequence[str], *, harmless: bool) -> Iterator[str]:
    yield _written([[*_OWN, *fields, *EXPORT_ENDS_WITH]])
    after = ""
    while step := members.contacts_after(db, audience, after, _A_STEP):
        rows = ([_cell(value, harmless=harmless) for value in _values(contact, fields)] for contact in step)
        yield _written(rows)
        after = step[-1].key


def _values(contact: Contact, fields: Sequence[str]) -> Iterator[Value]:
    recipient = contact.recipient
    yield from (recipient.address, recipient.name)
    yield from (recipient.variables.get(name) for name in fields)
    yield from (recipient.time_zone, recipient.language)
    yield from (contact.joined_at.isoformat() if contact.joined_at else None, contact.source)


def _cell(value: Value, *, harmless: bool) -> str:
    if value is None:
        return ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return spreadsheets.harmless(text) if harmless and isinstance(value, str) else text


def _written(rows: Iterable[list[str]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue()
