"""Pasted recipients: an address or `Name <address>` a line, or several in one line.

Mail programs put commas or semicolons between recipients, and write `Smith, Bo <bo@example.org>`: a piece without an
address belongs to the piece after its comma. A remaining piece is refused. No address becomes part of another
recipient's name.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from mailroom.domain.addresses import MAX_MAILBOX, InvalidAddress, name_of, pieces_of, trimmed
from mailroom.domain.lists.rows import Read, RefusedRow, Row

_SHOWN: Final = 100  # characters of a refused entry
_ONE_A_LINE: Final = "write one recipient a line, as an address or as Name <address@example.com>"


def rows_of(lines: Iterable[str]) -> Iterator[Read]:
    """The recipients of each line."""
    for number, line in enumerate(lines, 1):
        try:
            for entry in _entries(line):
                yield from _read(number, entry)
        except InvalidAddress as error:
            yield RefusedRow(number, trimmed(line)[:_SHOWN], str(error))


def _entries(line: str) -> Iterator[str]:
    """Raises InvalidAddress for a quotation mark that is not closed."""
    held: list[str] = []
    length = 0
    for piece, separators in pieces_of(line):
        held.append(piece)
        length += len(piece) + len(separators)
        if "@" in piece or ";" in separators or length > MAX_MAILBOX:
            yield "".join(held)
            held, length = [], 0
        elif separators and (len(held) > 1 or piece.strip()):
            held.append(separators)
    yield "".join(held)


def _read(number: int, entry: str) -> Iterator[Read]:
    entry = trimmed(entry).rstrip(", ")
    if not entry:
        return
    try:
        if len(entry) > MAX_MAILBOX:
            raise InvalidAddress(f"at most {MAX_MAILBOX} characters")
        if "<" not in entry and entry.count("@") > 1:
            yield from ((number, {"address": _bare(address)}) for address in _between_spaces(entry))
        else:
            yield number, _row(entry)
    except InvalidAddress as error:
        yield RefusedRow(number, entry[:_SHOWN], str(error))


def _row(entry: str) -> Row:
    written, bracket, address = entry.removesuffix(">").rpartition("<")
    if bool(bracket) != entry.endswith(">"):
        raise InvalidAddress(_ONE_A_LINE)
    if not bracket:
        return {"address": _bare(entry)}
    address = _bare(trimmed(address))
    return {"address": address, "name": name_of(trimmed(written), address, with_commas=True)}


def _between_spaces(entry: str) -> list[str]:
    """Several bare addresses with only white space between them. Raises InvalidAddress."""
    addresses = entry.split()
    if len(addresses) < 2 or any(address.count("@") != 1 for address in addresses):
        raise InvalidAddress(_ONE_A_LINE)
    return addresses


def _bare(address: str) -> str:
    """The address without the `mailto:` of a copied link."""
    return re.sub(r"(?i)^mailto:", "", address)
