"""Contacts, the members of an audience, and the changes that a request makes of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from mailroom.domain.audiences import Recipient, Value, check_row
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_VARIABLES


class Contact(Struct, frozen=True):
    """An address in an audience, with its data. `joined_at`: when it came in; None: with the audience itself.
    `source`: how it came in, such as `api` or `import`. `found_by`: of one that was erased, the digests of filters that
    had found it."""

    recipient: Recipient
    joined_at: datetime | None = None
    source: str = ""
    found_by: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        return self.recipient.key


@dataclass(frozen=True, slots=True)
class ContactChange:
    """One address whose contact changes. `before` None: it joins; `after` None: it leaves."""

    key: str
    before: Contact | None
    after: Contact | None


@dataclass(frozen=True, slots=True)
class Tally:
    """By how much changes move the numbers of an audience: its contacts, how many have each merge field, and how many
    each time zone."""

    contacts: int
    having: Mapping[str, int]
    zones: Mapping[str, int]


def joining(
    current: Mapping[str, Contact], asked: Iterable[Recipient], *, at: datetime, source: str, whole: bool = False
) -> list[ContactChange]:
    """The changes by which the asked recipients are in the audience. `current`: the contacts among them that are in it.
    What is asked for is set, and what else is known of a contact stays: an empty text asks for nothing, as an empty
    cell of a list does. With `whole` a contact has just the asked data. One that is as asked does not change; when and
    how it came in never does.

    Raises InvalidInput for a contact that would have too many merge fields.
    """
    changes = []
    for recipient in asked:
        before = current.get(recipient.key)
        data = recipient if whole or before is None else _completed(recipient, before.recipient)
        if before is None:
            changes.append(ContactChange(recipient.key, None, Contact(data, at, source)))
        elif not _is_same(before.recipient, data):
            changes.append(ContactChange(recipient.key, before, replace(before, recipient=data)))
    return changes


def leaving(current: Mapping[str, Contact], keys: Iterable[str]) -> list[ContactChange]:
    """The changes by which nobody of these is in the audience."""
    return [ContactChange(key, current[key], None) for key in dict.fromkeys(keys) if key in current]


def tally(changes: Sequence[ContactChange]) -> Tally:
    having: Counter[str] = Counter()
    zones: Counter[str] = Counter()
    for change in changes:
        having.update(_names(change.after))
        having.subtract(_names(change.before))
        zones.update(_zone(change.after))
        zones.subtract(_zone(change.before))
    joined = sum((change.after is not None) - (change.before is not None) for change in changes)
    return Tally(joined, _moved(having), _moved(zones))


def patched(contact: Contact, changes: Mapping[str, object]) -> Recipient:
    """The contact's data with these fields changed. A merge field that is null is removed, as in a JSON Merge Patch
    (RFC 7396); the other merge fields stay. Raises InvalidInput with every fault."""
    fields = as_row(contact.recipient)
    for name, value in changes.items():
        if name == "variables" and isinstance(value, dict):
            fields["variables"] = _merged(contact.recipient.variables, value)
        else:
            fields[name] = value
    return checked(fields)


def as_joining(changes: Mapping[str, object]) -> dict[str, object]:
    """The fields of a new contact that a patch gives: what it removes is not there."""
    variables = changes.get("variables")
    return {**changes, "variables": _merged({}, variables if isinstance(variables, dict) else {})}


def checked(row: Mapping[str, object]) -> Recipient:
    """Raises InvalidInput with every fault, each with its path in the row."""
    found = check_row(dict(row))
    if isinstance(found, Recipient):
        return found
    raise InvalidInput(*(Fault(where.lstrip("."), message) for where, message in found))


def as_row(recipient: Recipient) -> dict[str, object]:
    """The fields by which a request names this recipient."""
    return {
        "address": recipient.address,
        "name": recipient.name,
        "variables": dict(recipient.variables),
        "time_zone": recipient.time_zone,
        "language": recipient.language,
    }


def _completed(asked: Recipient, known: Recipient) -> Recipient:
    """The asked recipient, with what is known of it and not asked for."""
    asked_for = {name: value for name, value in asked.variables.items() if value != ""}
    variables = {**known.variables, **asked_for}
    if len(variables) > MAX_VARIABLES:
        raise InvalidInput(Fault("contacts", f"{asked.address} would have more than {MAX_VARIABLES} merge fields"))
    return Recipient(
        asked.address,
        asked.name or known.name,
        variables,
        asked.time_zone or known.time_zone,
        asked.language or known.language,
    )


def _is_same(one: Recipient, other: Recipient) -> bool:
    """True if both show the same: 1 and true are equal in Python, and differ in a mail."""
    types = [(type(value), type(other.variables.get(name))) for name, value in one.variables.items()]
    return one == other and all(kind is other_kind for kind, other_kind in types)


def _merged(variables: Mapping[str, Value], changes: Mapping[str, object]) -> dict[str, object]:
    gone = {name for name, value in changes.items() if value is None}
    return {name: value for name, value in {**variables, **changes}.items() if name not in gone}


def _moved(counts: Counter[str]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number}


def _zone(contact: Contact | None) -> Iterable[str]:
    return [contact.recipient.time_zone] if contact and contact.recipient.time_zone else ()


def _names(contact: Contact | None) -> Iterable[str]:
    return list(contact.recipient.variables) if contact else ()
