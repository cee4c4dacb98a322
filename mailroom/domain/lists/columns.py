"""The role of each column of a table: proposed from its heading and its first rows; a person may change it."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mailroom.domain.addresses import InvalidAddress, check_address, trimmed
from mailroom.domain.audiences import RESERVED, fault_of_variable_name
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_VARIABLE_NAME, MAX_VARIABLES


class Role(StrEnum):
    """The role of a column."""

    ADDRESS = "address"
    NAME = "name"  # several name columns are joined in their order, with a space between
    FIELD = "field"  # a merge field
    NAME_AND_FIELD = "both"
    TIME_ZONE = "time_zone"  # the contact's own, as an IANA name
    LANGUAGE = "language"  # the contact's own, as a tag of BCP 47
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading as written in the file, and its role. `field` names its merge field."""

    heading: str
    role: Role
    field: str = ""


# Headings of exports by Mailchimp, Outlook, Google Contacts, HubSpot and others, without case and punctuation.
_ADDRESS_HEADINGS: Final = (
    *("email", "emailaddress", "mail", "mailaddress", "emailadresse", "mailadresse", "emailid", "emailaddr"),
    *("primaryemail", "contactemail", "subscriberemail", "emailaddress1", "email1", "email1value", "workemail"),
    *("adresseemail", "adressemail", "courriel", "correo", "correoelectronico", "indirizzoemail", "epost", "eposta"),
    *("email2", "recipient", "recipients", "to", "address"),
)
_NAME_HEADINGS: Final = ("name", "fullname", "displayname", "recipientname", "contactname", "nom", "nombre")
_NAME_PARTS: Final = (
    *("firstname", "givenname", "fname", "vorname", "prenom", "first"),
    *("lastname", "familyname", "surname", "lname", "nachname", "last"),
)
_OF_CONTACTS: Final = {
    "timezone": Role.TIME_ZONE,
    "tz": Role.TIME_ZONE,
    "language": Role.LANGUAGE,
    "lang": Role.LANGUAGE,
}
#: The last headings of an audience's export. The last two say how a contact came in, and are no merge fields.
EXPORT_ENDS_WITH: Final = ("time_zone", "language", "joined_at", "source")
_ENOUGH: Final = 0.5  # the share of addresses among the first rows' cells that makes a column of addresses


def is_address_heading(heading: str) -> bool:
    return _plain(heading) in _ADDRESS_HEADINGS


def propose(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[tuple[Column, ...], bool]:
    """Returns (the columns with their roles, True if every heading has only one meaning)."""
    address = _address_column(headings, rows)
    whole_name = next((n for n, heading in enumerate(headings) if _plain(heading) in _NAME_HEADINGS), None)
    exported = tuple(headings[-len(EXPORT_ENDS_WITH) :]) == EXPORT_ENDS_WITH
    told = range(len(headings) - 2, len(headings)) if exported else ()
    columns: list[Column] = []
    taken: set[str] = set()
    for number, heading in enumerate(headings):
        field = _field_name(heading, number, taken)
        role = Role.FIELD
        if number == address:
            role = Role.ADDRESS
        elif number == whole_name:
            role = Role.NAME
        elif (own := _OF_CONTACTS.get(_plain(heading))) and own not in {column.role for column in columns}:
            role = own
        elif number in told or len(taken) >= MAX_VARIABLES or _is_empty(heading, number, rows):
            role = Role.IGNORED
        elif whole_name is None and _plain(heading) in _NAME_PARTS:
            role = Role.NAME_AND_FIELD
        if role in (Role.FIELD, Role.NAME_AND_FIELD):
            taken.add(field)
        columns.append(Column(heading, role, field if role in (Role.FIELD, Role.NAME_AND_FIELD) else ""))
    return tuple(columns), address is not None and _is_certain(columns, rows)


def check_columns(columns: Sequence[Column]) -> None:
    """Raises InvalidInput with every fault of the chosen columns."""
    faults = []
    addresses = [n for n, column in enumerate(columns) if column.role is Role.ADDRESS]
    if not addresses:
        faults.append(Fault("columns", "choose the column that holds the email addresses"))
    faults += [Fault(f"columns[{n}]", "another column is the email address already") for n in addresses[1:]]
    for own in (Role.TIME_ZONE, Role.LANGUAGE):
        again = [n for n, column in enumerate(columns) if column.role is own][1:]
        faults += [Fault(f"columns[{n}]", f"another column is the {_IN_WORDS[own]} already") for n in again]
    fields = [(n, c.field) for n, c in enumerate(columns) if c.role in (Role.FIELD, Role.NAME_AND_FIELD)]
    if len(fields) > MAX_VARIABLES:
        words = f"at most {MAX_VARIABLES} merge fields; leave {len(fields) - MAX_VARIABLES} columns out"
        faults.append(Fault("columns", words))
    seen: set[str] = set()
    for number, field in fields:
        if message := fault_of_variable_name(field):
            faults.append(Fault(f"columns[{number}]", message))
        elif field in seen:
            faults.append(Fault(f"columns[{number}]", f"another column is the merge field '{field}' already"))
        seen.add(field)
    if faults:
        raise InvalidInput(*faults)


_IN_WORDS: Final = {Role.TIME_ZONE: "time zone", Role.LANGUAGE: "language"}


def _address_column(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> int | None:
    """The column of addresses: by its cells, then by its heading, because `Address` is a street in most exports."""
    ranks = []
    for number, heading in enumerate(headings):
        share = _share_of_addresses(number, rows)
        mostly = share is None or share >= _ENOUGH
        if (share != 0 and is_address_heading(heading)) or (share is not None and mostly):
            ranks.append((mostly, -_rank(heading), -number))
    if ranks:
        return -max(ranks)[2]
    named = [number for number, heading in enumerate(headings) if is_address_heading(heading)]
    return named[0] if len(named) == 1 else None


def _share_of_addresses(number: int, rows: Sequence[Sequence[str]]) -> float | None:
    """The share of addresses among the column's non-empty cells; None if all are empty."""
    cells = [cell for row in rows if number < len(row) and (cell := trimmed(row[number]))]
    return sum(map(is_address, cells)) / len(cells) if cells else None


def is_address(text: str) -> bool:
    try:
        check_address(trimmed(text))
    except InvalidAddress:
        return False
    return True


def _rank(heading: str) -> int:
    plain = _plain(heading)
    return _ADDRESS_HEADINGS.index(plain) if plain in _ADDRESS_HEADINGS else len(_ADDRESS_HEADINGS)


def _is_certain(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> bool:
    for number, column in enumerate(columns):
        match column.role:
            case Role.ADDRESS:
                if column.heading.strip().lower() not in ("address", "email"):
                    return False
            case Role.NAME:
                if column.heading.strip().lower() != "name":
                    return False
            case Role.TIME_ZONE | Role.LANGUAGE:
                if column.heading.strip().lower() != column.role:
                    return False
            case Role.FIELD:
                odd = column.field != column.heading.strip() or is_address_heading(column.heading)
                if odd or (_share_of_addresses(number, rows) or 0) >= _ENOUGH:
                    return False
            case _:
                return False
    return True


def _is_empty(heading: str, number: int, rows: Sequence[Sequence[str]]) -> bool:
    return not heading.strip() and not any(number < len(row) and row[number].strip() for row in rows)


def _plain(heading: str) -> str:
    return re.sub(r"[\W_]+", "", _without_accents(heading))


def _without_accents(text: str) -> str:
    """The text in small letters without accents: `grosse` for `Größe`."""
    split = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in split if not unicodedata.combining(character))


def _field_name(heading: str, number: int, taken: set[str]) -> str:
    """The name of a merge field for a heading: the heading itself if it is a valid name."""
    name = trimmed(heading)
    if fault_of_variable_name(name):
        name = re.sub(r"[^a-z0-9]+", "_", _without_accents(name)).strip("_")
        name = f"column_{name}".rstrip("_") if name[:1].isdigit() else name or f"column_{number + 1}"
        name = name[: MAX_VARIABLE_NAME - 4]
        if name in RESERVED or fault_of_variable_name(name):
            name = f"{name}_column"
    base, again = name[: MAX_VARIABLE_NAME - 4], 2
    while name in taken:
        name, again = f"{base}_{again}", again + 1
    return name
