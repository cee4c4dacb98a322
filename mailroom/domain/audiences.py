"""Recipients of a schedule. The whole list is checked before any of it is stored."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from msgspec import Struct, field

from mailroom.domain.addresses import InvalidAddress, Mailbox, check_address, check_written, fold
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import (
    MAX_LANGUAGE,
    MAX_RECIPIENT_NAME,
    MAX_RECIPIENTS,
    MAX_VARIABLE_NAME,
    MAX_VARIABLE_VALUE,
    MAX_VARIABLES,
)
from mailroom.domain.lists.rows import Read, RefusedRow
from mailroom.domain.recurrence import zones

Value = str | int | float | bool | None

_VARIABLE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Names that can be written before an address and read back unchanged; a test holds that.
_ORDINARY_NAME: Final = re.compile(r"[\w.'(&-](?:[\w.,;:@()&/+!'-]| (?! ))*")
_ANYBODY: Final = "anybody@example.com"  # placeholder address while a name is checked
RESERVED: Final = frozenset({"name", "address"})  # every recipient has these
_JINJAS: Final = frozenset({"self", "true", "false", "none", "True", "False", "None", "loop"})
_MAX_NUMBER: Final = 10**15
_MAX_FAULTS: Final = 1_000  # reported at once; a wrong column in a long list would otherwise flood the answer
MAX_TOLD: Final = 10_000  # refused rows that an answer lists
MAX_REFUSED: Final = 100_000  # more refused rows than this mean a wrong column or a wrong file
_ROW_TYPES: Final = {"address": str, "name": str, "variables": dict, "time_zone": str, "language": str}
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")  # the shape of BCP 47
_SHOWN: Final = 254


class Recipient(Struct, frozen=True):
    """`time_zone`: an IANA name; `language`: a tag of BCP 47, such as `de-AT`. Each is empty if it is not known.
    `erased`: only the place of somebody who was erased, for runs whose audience was fixed before; it gets no mail."""

    address: str
    name: str = ""
    variables: dict[str, Value] = field(default_factory=dict)
    time_zone: str = ""
    language: str = ""
    erased: bool = False

    @property
    def key(self) -> str:
        return fold(self.address)

    def context(self) -> dict[str, Value]:
        """The values for templates: the recipient's variables, name and address."""
        return {**self.variables, "name": self.name, "address": self.address}


@dataclass(frozen=True, slots=True)
class Known:
    """Names that templates of a schedule may use: the variables that every member has, and an example member. `having`:
    how many of the `total` members have each name; None where that is not counted."""

    variables: frozenset[str]
    example: Recipient
    having: Mapping[str, int] | None = None
    total: int = 0


@dataclass(frozen=True, slots=True)
class Audience:
    """A stored list of recipients. `name`: empty if the list belongs to a single schedule, and never changes.
    `variables`: the names that every member has. `listed`: True while schedules may refer to the list, and its contacts
    may be changed. `version`: the moment of its newest change; None if it was never changed. `zones`: how many contacts
    have each time zone; None if that was never counted."""

    id: AudienceId
    name: str
    count: int
    variables: tuple[str, ...]
    created_at: datetime
    listed: bool
    version: datetime | None = None
    zones: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Screened:
    """The valid rows of a list, in the order of their folded address, and its refused rows."""

    recipients: Sequence[Recipient]
    refused: Sequence[RefusedRow]  # the first MAX_TOLD
    refused_count: int
    rows: int  # rows read, refused rows included

    @property
    def duplicates(self) -> int:
        """How many rows repeat the address of an earlier row."""
        return self.rows - self.refused_count - len(self.recipients)


@dataclass(frozen=True, slots=True)
class Sifted:
    """How many recipients a list has, each address once, and its refused rows (the first MAX_TOLD)."""

    recipients: int
    refused: Sequence[RefusedRow]
    refused_count: int
    rows: int  # rows read, refused rows included

    @property
    def duplicates(self) -> int:
        """How many rows repeat the address of an earlier row."""
        return self.rows - self.refused_count - self.recipients


def check_recipients(rows: Sequence[object], *, path: str = "recipients") -> list[Recipient]:
    """The recipients in the order of their folded address. For a repeated address the first row wins.

    Raises InvalidInput with a path such as `recipients[2].address` for every fault, up to a limit.
    """
    if not rows:
        raise InvalidInput(Fault(path, "at least one recipient is needed"))
    if len(rows) > MAX_RECIPIENTS:
        raise InvalidInput(Fault(path, f"at most {MAX_RECIPIENTS:,} recipients; these are {len(rows):,}"))
    faults: list[Fault] = []
    more = 0
    by_key: dict[str, Recipient] = {}
    for index, row in enumerate(rows):
        checked = check_row(row)
        if isinstance(checked, Recipient):
            by_key.setdefault(checked.key, checked)
        elif len(faults) < _MAX_FAULTS:
            faults += [Fault(f"{path}[{index}]{where}", message) for where, message in checked]
        else:
            more += 1
            if more > MAX_REFUSED:
                break
    if more:
        faults.append(Fault(path, f"{more:,}{' or more' if more > MAX_REFUSED else ''} further rows are wrong"))
    if faults:
        raise InvalidInput(*faults)
    return [by_key[key] for key in sorted(by_key)]


def screen(rows: Iterable[Read | tuple[int, object]], *, path: str = "recipients") -> Screened:
    """As `sift`; the valid rows are kept in memory."""
    by_key: dict[str, Recipient] = {}
    sifted = sift(rows, lambda one: by_key.setdefault(one.key, one) is one, path=path)
    recipients = [by_key[key] for key in sorted(by_key)]
    return Screened(recipients, sifted.refused, sifted.refused_count, sifted.rows)


def sift(
    rows: Iterable[Read | tuple[int, object]], keep: Callable[[Recipient], bool], *, path: str = "recipients"
) -> Sifted:
    """Separate the valid rows from the invalid ones. `keep` is called with each valid one, and tells whether it was the
    first of its address.

    Raises InvalidInput for more rows than a list may have, and for more than MAX_REFUSED invalid rows.
    """
    refused: list[RefusedRow] = []
    wrong = count = kept = 0
    for count, judged in enumerate(judge(rows), 1):
        if count > MAX_RECIPIENTS:
            raise InvalidInput(Fault(path, f"at most {MAX_RECIPIENTS:,} recipients"))
        if isinstance(judged, Recipient):
            kept += keep(judged)
            continue
        wrong += 1
        if wrong <= MAX_TOLD:
            refused.append(judged)
        elif wrong > MAX_REFUSED:
            words = f"more than {MAX_REFUSED:,} rows cannot be taken; the first is line {refused[0].row}"
            raise InvalidInput(Fault(path, f"{words}: {refused[0].message}. Is this the right list and column?"))
    return Sifted(kept, refused, wrong, count)


def judge(rows: Iterable[Read | tuple[int, object]]) -> Iterator[Recipient | RefusedRow]:
    """Yield each row as a recipient, or as a refused row with the reason."""
    for read in rows:
        if isinstance(read, RefusedRow):
            yield read
            continue
        number, row = read
        checked = check_row(row)
        if isinstance(checked, Recipient):
            yield checked
        else:
            address = row.get("address") if isinstance(row, dict) else None
            words = "; ".join(m if where == ".address" else f"{where.lstrip('.')}: {m}" for where, m in checked)
            yield RefusedRow(number, address[:_SHOWN] if isinstance(address, str) else "", words.removeprefix(": "))


def known_variables(recipients: Iterable[Recipient]) -> frozenset[str]:
    """The variables that every recipient has. Templates may use these."""
    common: set[str] | None = None
    for recipient in recipients:
        common = set(recipient.variables) if common is None else common & recipient.variables.keys()
        if not common:
            break
    return frozenset(common or ()) | RESERVED


def check_row(row: object) -> Recipient | list[tuple[str, str]]:
    """A row as a recipient, or all its faults: the path in the row (`.address`, `.variables.city`), and the message."""
    if isinstance(row, Recipient):
        return row  # checked before
    if not isinstance(row, dict):
        return [("", "Not an object with address, name and variables.")]
    faults = _faults_of_shape(row)
    address, name, variables = row.get("address") or "", row.get("name") or "", row.get("variables") or {}
    if "address" in row and isinstance(address, str):
        try:
            address = check_address(address)
        except InvalidAddress as error:
            faults.append((".address", str(error)))
    if isinstance(name, str):
        name = name.strip()
        if name and not (len(name) <= MAX_RECIPIENT_NAME and _ORDINARY_NAME.fullmatch(name)):
            faults += [(".name", message) for message in _faults_of_name(name)]
    if isinstance(variables, dict) and variables:
        faults += _faults_of_variables(variables)
    time_zone, language = row.get("time_zone") or "", row.get("language") or ""
    if time_zone and isinstance(time_zone, str) and not _is_time_zone(time_zone):
        faults.append((".time_zone", "Not an IANA time zone such as Europe/Berlin."))
    if language and isinstance(language, str) and not _is_language(language):
        faults.append((".language", "Not a language tag such as en or de-AT."))
    return faults or Recipient(address, name, {**variables}, time_zone, language)


def _faults_of_shape(row: dict[str, Any]) -> list[tuple[str, str]]:
    faults = []
    for name, value in row.items():
        if name not in _ROW_TYPES:
            faults.append((f".{name}", "Unknown field."))
        elif value is not None and not isinstance(value, _ROW_TYPES[name]):
            faults.append((f".{name}", f"Not a valid {'object' if name == 'variables' else 'string'}."))
    if "address" not in row:
        faults.append((".address", "Missing data for required field."))
    return faults


@lru_cache(maxsize=1_024)
def _is_time_zone(name: str) -> bool:
    return zones.find(name) is not None


def _is_language(tag: str) -> bool:
    return len(tag) <= MAX_LANGUAGE and bool(_LANGUAGE.fullmatch(tag))


def _faults_of_name(name: str) -> list[str]:
    if len(name) > MAX_RECIPIENT_NAME:
        return [f"at most {MAX_RECIPIENT_NAME} characters"]
    try:
        check_written(Mailbox(_ANYBODY, name))
    except InvalidAddress as error:
        return [str(error)]
    return []


def _faults_of_variables(variables: dict[str, Any]) -> list[tuple[str, str]]:
    if len(variables) > MAX_VARIABLES:
        return [(".variables", f"at most {MAX_VARIABLES} variables")]
    faults = []
    for name, value in variables.items():
        message = fault_of_variable_name(name)
        if message is None and (not isinstance(value, str) or len(value) > MAX_VARIABLE_VALUE):
            message = _fault_of_value(value)
        if message:
            faults.append((f".variables.{name}", message))
    return faults


@lru_cache(maxsize=4_096)
def fault_of_variable_name(name: str) -> str | None:
    if not _VARIABLE_NAME.fullmatch(name) or len(name) > MAX_VARIABLE_NAME:
        return f"a name has letters, digits and _, at most {MAX_VARIABLE_NAME} of them"
    if name in _JINJAS:
        return f"'{name}' is a word of the template language"
    if name in RESERVED:
        return f"'{name}' is taken: it is the recipient's own"
    return None


def _fault_of_value(value: Any) -> str | None:
    if not isinstance(value, Value):
        return "a value is a text, a number, true, false or null"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number is neither infinite nor NaN"
    if isinstance(value, int) and abs(value) > _MAX_NUMBER:
        return "a number has at most 15 digits; give longer ones as text"
    if len(str(value)) > MAX_VARIABLE_VALUE:
        return f"at most {MAX_VARIABLE_VALUE:,} characters"
    return None
