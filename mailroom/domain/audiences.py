"""Recipients: who a schedule mails to, checked as a whole before anything of them is stored."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from mailroom.domain.addresses import InvalidAddress, Mailbox, check_address, check_written, fold
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import (
    MAX_RECIPIENT_NAME,
    MAX_RECIPIENTS,
    MAX_VARIABLE_NAME,
    MAX_VARIABLE_VALUE,
    MAX_VARIABLES,
)

Value = str | int | float | bool | None

_VARIABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ORDINARY_NAME: Final = re.compile(r"[\w'-]+(?: [\w'-]+)*")  # written as it is before any address
_ANYBODY: Final = "anybody@example.com"  # stands in while a name is looked at
RESERVED: Final = frozenset({"name", "address"})  # every recipient has these
_JINJAS: Final = frozenset({"self", "true", "false", "none", "True", "False", "None", "loop"})
_MAX_NUMBER: Final = 10**15
_MAX_FAULTS: Final = 50  # told at once; a wrong column in a long list would drown the answer


@dataclass(frozen=True, slots=True)
class Recipient:
    address: str
    name: str = ""
    variables: dict[str, Value] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return fold(self.address)

    def context(self) -> dict[str, Value]:
        """What templates see: the recipient's variables, and its name and address."""
        return {**self.variables, "name": self.name, "address": self.address}


@dataclass(frozen=True, slots=True)
class Known:
    """What the templates of a schedule may count on: the variables that every member has, and one member."""

    variables: frozenset[str]
    example: Recipient


@dataclass(frozen=True, slots=True)
class Audience:
    """A kept list of recipients, which never changes. `name` is empty for one that is a single schedule's own;
    `variables` are those that every member has; `listed` while schedules may name it."""

    id: AudienceId
    name: str
    count: int
    variables: tuple[str, ...]
    created_at: datetime
    listed: bool


def check_recipients(rows: Sequence[dict[str, Any]], *, path: str = "recipients") -> list[Recipient]:
    """The recipients in the order of their folded address, an address twice kept once (the first row wins).

    Raises InvalidInput with a path such as `recipients[2].address`.
    """
    if not rows:
        raise InvalidInput(Fault(path, "at least one recipient is needed"))
    if len(rows) > MAX_RECIPIENTS:
        raise InvalidInput(Fault(path, f"at most {MAX_RECIPIENTS:,} recipients; these are {len(rows):,}"))
    faults: list[Fault] = []
    by_key: dict[str, Recipient] = {}
    for index, row in enumerate(rows):
        recipient = _check_row(row, f"{path}[{index}]", faults)
        if recipient is not None:
            by_key.setdefault(recipient.key, recipient)
        if len(faults) >= _MAX_FAULTS:
            break
    if faults:
        raise InvalidInput(*faults)
    return [by_key[key] for key in sorted(by_key)]


def known_variables(recipients: Iterable[Recipient]) -> frozenset[str]:
    """The variables that every recipient has: those a template may use."""
    common: set[str] | None = None
    for recipient in recipients:
        common = set(recipient.variables) if common is None else common & recipient.variables.keys()
        if not common:
            break
    return frozenset(common or ()) | RESERVED


def parse_pasted(text: str, *, path: str = "recipients") -> list[dict[str, Any]]:
    """Rows from a text field: one address or `Name <address>` a line, or CSV whose first line names its columns.

    The columns `address` (or `email`) and `name` are ours, every other one is a variable. Raises InvalidInput with
    the line's number.
    """
    text = text.strip("\ufeff \t\r\n")
    first = text.split("\n", 1)[0].lower()
    names_columns = "@" not in first and (re.search(r"[,;\t]", first) or first.strip(' "') in ("address", "email"))
    if names_columns:
        return _parse_csv(text, path)
    return [_parse_line(line.strip()) for line in re.split(r"[\n;]", text) if line.strip()]


def _parse_line(line: str) -> dict[str, Any]:
    line = line.rstrip(", ")
    name, bracket, address = line.rpartition("<")
    if bracket and address.endswith(">"):
        return {"name": name.strip(' "'), "address": address[:-1]}
    return {"address": line}


def _parse_csv(text: str, path: str) -> list[dict[str, Any]]:
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    rows: list[dict[str, Any]] = []
    try:
        header = [column.strip() for column in next(reader)]
        _check_header(header, path)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                message = f"line {reader.line_num} has {len(cells)} columns; the first line names {len(header)}"
                raise InvalidInput(Fault(path, message))
            rows.append(_row_of(dict(zip(header, (cell.strip() for cell in cells), strict=True))))
    except csv.Error as error:
        raise InvalidInput(Fault(path, f"line {reader.line_num}: {error}")) from None
    return rows


def _check_header(header: Sequence[str], path: str) -> None:
    folded = [column.lower() for column in header]
    if not {"address", "email"} & set(folded):
        raise InvalidInput(Fault(path, "the first line names no column 'address' or 'email'"))
    twice = sorted({column for column in folded if folded.count(column) > 1})
    if twice:
        raise InvalidInput(Fault(path, f"the first line names the column '{twice[0]}' twice"))


def _row_of(cells: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {"variables": {}}
    for column, cell in cells.items():
        match column.lower():
            case "address" | "email":
                row["address"] = cell
            case "name":
                row["name"] = cell
            case _:
                row["variables"][column] = cell
    return row


def _check_row(row: dict[str, Any], path: str, faults: list[Fault]) -> Recipient | None:
    before = len(faults)
    address = ""
    try:
        address = check_address(row.get("address") or "")
    except InvalidAddress as error:
        faults.append(Fault(f"{path}.address", str(error)))
    name = (row.get("name") or "").strip()
    if len(name) > MAX_RECIPIENT_NAME:
        faults.append(Fault(f"{path}.name", f"at most {MAX_RECIPIENT_NAME} characters"))
    elif name and not _ORDINARY_NAME.fullmatch(name):
        try:
            check_written(Mailbox(_ANYBODY, name))
        except InvalidAddress as error:
            faults.append(Fault(f"{path}.name", str(error)))
    variables = row.get("variables") or {}
    faults += _faults_of_variables(variables, f"{path}.variables")
    return Recipient(address, name, dict(variables)) if len(faults) == before else None


def _faults_of_variables(variables: dict[str, Any], path: str) -> list[Fault]:
    if len(variables) > MAX_VARIABLES:
        return [Fault(path, f"at most {MAX_VARIABLES} variables")]
    faults = []
    for name, value in variables.items():
        where = f"{path}.{name}"
        if not _VARIABLE_NAME.fullmatch(name) or len(name) > MAX_VARIABLE_NAME:
            faults.append(Fault(where, f"a name has letters, digits and _, at most {MAX_VARIABLE_NAME} of them"))
        elif name in _JINJAS:
            faults.append(Fault(where, f"'{name}' is a word of the template language"))
        elif name in RESERVED:
            faults.append(Fault(where, f"'{name}' is taken: it is the recipient's own"))
        elif not isinstance(value, Value):
            faults.append(Fault(where, "a value is a text, a number, true, false or null"))
        elif isinstance(value, float) and not math.isfinite(value):
            faults.append(Fault(where, "a number is neither infinite nor NaN"))
        elif isinstance(value, int) and abs(value) > _MAX_NUMBER:
            faults.append(Fault(where, "a number has at most 15 digits; give longer ones as text"))
        elif len(str(value)) > MAX_VARIABLE_VALUE:
            faults.append(Fault(where, f"at most {MAX_VARIABLE_VALUE:,} characters"))
    return faults
