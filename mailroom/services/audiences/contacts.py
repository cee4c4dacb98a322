"""Contacts of an audience: added, changed and removed, one or many. Each change is one transaction and a version of its
own, so a run that begins meanwhile goes to the audience before it or after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from mailroom.domain.addresses import fold
from mailroom.domain.audience_versions import AudienceVersion, next_version
from mailroom.domain.audiences import Audience, Recipient, check_recipients, screen
from mailroom.domain.contacts import (
    Contact,
    ContactChange,
    Tally,
    as_joining,
    checked,
    joining,
    leaving,
    patched,
    tally,
)
from mailroom.domain.errors import ContactNotFound, Fault, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_AUDIENCE_VARIABLES, MAX_RECIPIENTS
from mailroom.domain.lists.rows import RefusedRow
from mailroom.domain.sender_rules import SenderRule
from mailroom.services.common import sender_rules
from mailroom.storage.audiences import contacts, members, versions
from mailroom.storage.audiences import document as audiences
from mailroom.storage.database import Db, Session, in_transaction, server_now

A_STEP: Final = 1_000  # contacts of one transaction
_TOO_MANY: Final = f"an audience has at most {MAX_RECIPIENTS:,} contacts"
_TOO_VARIED: Final = f"an audience has at most {MAX_AUDIENCE_VARIABLES} merge fields of different names"


class Added(NamedTuple):
    """What became of contacts that were handed in; `refused_count` counts all refused rows, `refused` has the first."""

    added: int
    changed: int
    unchanged: int
    refused: Sequence[RefusedRow] = ()
    refused_count: int = 0


def page(db: Db, audience: AudienceId, *, after: str, limit: int) -> list[Contact]:
    """The contacts in the order of their folded addresses, after this one. Raises AudienceNotFound."""
    audiences.get(db, audience)
    return members.contacts_after(db, audience, after, limit)


def get(db: Db, audience: AudienceId, address: str) -> Contact:
    """Raises AudienceNotFound, ContactNotFound."""
    audiences.get(db, audience)
    return _present(members.contact(db, audience, fold(address)), address)


def put(db: Db, audience: AudienceId, row: Mapping[str, object], *, source: str) -> tuple[Contact, bool]:
    """Let the contact of `row["address"]` be in the audience, with just these data. Returns (the contact, whether it is
    new). Raises AudienceNotFound, InvalidInput, SendersTooOld, Unavailable."""
    recipient = checked(row)
    changes = _let_join(db, audience, [recipient], source=source, whole=True)
    is_new = any(one.before is None for one in changes)
    return _present(members.contact(db, audience, recipient.key), recipient.address), is_new


def patch(db: Db, audience: AudienceId, address: str, changes: Mapping[str, object], *, source: str) -> Contact:
    """Change these fields of a contact. Raises AudienceNotFound, ContactNotFound, InvalidInput, SendersTooOld,
    Unavailable."""
    key = fold(address)

    def asked(current: Mapping[str, Contact], at: datetime) -> list[ContactChange]:
        changed = patched(_present(current.get(key), address), changes)
        return joining(current, [changed], at=at, source=source, whole=True)

    _store(db, audience, [key], asked)
    return _present(members.contact(db, audience, key), address)


def change_or_add(db: Db, audience: AudienceId, address: str, changes: Mapping[str, object], *, source: str) -> Contact:
    """As `patch`; an address that is not in the audience comes in. Raises AudienceNotFound, InvalidInput,
    SendersTooOld, Unavailable."""
    try:
        return patch(db, audience, address, changes, source=source)
    except ContactNotFound:
        return put(db, audience, {**as_joining(changes), "address": address}, source=source)[0]


def remove(db: Db, audience: AudienceId, address: str) -> None:
    """Raises AudienceNotFound, ContactNotFound, SendersTooOld, Unavailable."""
    if not _let_leave(db, audience, [fold(address)]):
        raise ContactNotFound(address)


def remove_many(db: Db, audience: AudienceId, addresses: Sequence[str]) -> tuple[int, list[str]]:
    """Let nobody of these be in the audience. Returns (how many were, the addresses that were not). Raises
    AudienceNotFound, SendersTooOld, Unavailable: then the same again removes the rest."""
    named = {fold(address): address for address in addresses}
    removed: set[str] = set()
    keys = iter(named)
    while step := list(islice(keys, A_STEP)):
        removed |= _let_leave(db, audience, step)
    return len(removed), [address for key, address in named.items() if key not in removed]


def add_many(db: Db, audience: AudienceId, rows: Sequence[object], *, on_invalid: str, source: str) -> Added:
    """Let all of these be in the audience. What a row does not name stays as it is. The whole list is checked before
    any of it is stored; with `skip` invalid rows are left out. More than A_STEP are stored in steps: a run that begins
    meanwhile has those of some steps.

    Raises AudienceNotFound, InvalidInput, SendersTooOld, Unavailable: then the same again stores the rest.
    """
    if on_invalid == "skip":
        found = screen(enumerate(rows, 1), path="contacts")
        return add_checked(db, audience, found.recipients, source=source)._replace(
            refused=found.refused, refused_count=found.refused_count
        )
    return add_checked(db, audience, check_recipients(rows, path="contacts"), source=source)


def add_checked(
    db: Db,
    audience: AudienceId,
    recipients: Sequence[Recipient],
    *,
    source: str,
) -> Added:
    """As `add_many`, of recipients that are checked already, each address once."""
    added = changed = 0
    for step in _steps(recipients):
        changes = _let_join(db, audience, step, source=source)
        added += sum(one.before is None for one in changes)
        changed += sum(one.before is not None for one in changes)
    return Added(added, changed, len(recipients) - added - changed)


def prepare(db: Db, audience: AudienceId) -> None:
    """Call this before a transaction that changes contacts. Raises InvalidInput for an audience that has too many merge
    fields to count."""
    if not audiences.count_names(db, audience, most=MAX_AUDIENCE_VARIABLES):
        raise InvalidInput(Fault("variables", _TOO_VARIED))


def join_within(
    db: Db, audience: AudienceId, recipient: Recipient, *, source: str, now: datetime, session: Session
) -> None:
    """Let this recipient be in an audience that `prepare` has looked at, in the caller's transaction. What is known of
    it stays, its spelling and its name too: anybody may have typed these. Raises AudienceNotFound, InvalidInput for an
    audience that is full."""

    def asked(current: Mapping[str, Contact], at: datetime) -> list[ContactChange]:
        known = current.get(recipient.key)
        kept = recipient if known is None else replace(known.recipient, name=known.recipient.name or recipient.name)
        return joining(current, [kept], at=at, source=source)

    _store_within(db, audience, [recipient.key], asked, now=now, session=session)


def _let_join(
    db: Db, audience: AudienceId, recipients: Sequence[Recipient], *, source: str, whole: bool = False
) -> Sequence[ContactChange]:
    def asked(current: Mapping[str, Contact], at: datetime) -> list[ContactChange]:
        return joining(current, recipients, at=at, source=source, whole=whole)

    return _store(db, audience, [recipient.key for recipient in recipients], asked)


def _let_leave(db: Db, audience: AudienceId, keys: Sequence[str]) -> set[str]:
    """The folded addresses among these that were in the audience."""
    return {one.key for one in _store(db, audience, keys, lambda current, _: leaving(current, keys))}


class _Asked(Protocol):
    """The changes that are asked for, given the contacts among the named ones that are in the audience, and the moment
    of the change."""

    def __call__(self, current: Mapping[str, Contact], at: datetime) -> Sequence[ContactChange]: ...


def _store(db: Db, audience: AudienceId, keys: Sequence[str], asked: _Asked) -> Sequence[ContactChange]:
    """Store the changes of these folded addresses as one version, and return them. Nothing is stored where nothing
    changes."""
    sender_rules.require(db, SenderRule.AUDIENCES)
    prepare(db, audience)
    now = server_now(db)
    return in_transaction(db, lambda session: _store_within(db, audience, keys, asked, now=now, session=session))


def _store_within(
    db: Db, audience: AudienceId, keys: Sequence[str], asked: _Asked, *, now: datetime, session: Session
) -> Sequence[ContactChange]:
    before, having = audiences.changing(db, audience, session=session)
    stored = members.documents_of(db, audience, keys, session=session)
    current = {key: members.contact_of(doc) for key, doc in stored.items()}
    version = next_version(before.version, now=now)
    changes = asked(current, version)
    if changes:
        by = tally(changes)
        _check_limits(before, having, by)
        contacts.write(db, audience, changes, stored, version=version, session=session)
        audiences.changed(db, before, by, version=version, session=session)
        at = AudienceVersion(audience, version)
        versions.note(db, at, before.count + by.contacts, session=session)
    return changes


def _check_limits(before: Audience, having: Mapping[str, int], by: Tally) -> None:
    """Raises InvalidInput for a change by which an audience would be too large."""
    if by.contacts > 0 and before.count + by.contacts > MAX_RECIPIENTS:
        raise InvalidInput(Fault("contacts", _TOO_MANY))
    new = [name for name, more in by.having.items() if more > 0 and not having.get(name)]
    if new and sum(number > 0 for number in having.values()) + len(new) > MAX_AUDIENCE_VARIABLES:
        raise InvalidInput(Fault("variables", _TOO_VARIED))


def _steps(recipients: Sequence[Recipient]) -> Iterator[Sequence[Recipient]]:
    for start in range(0, len(recipients), A_STEP):
        yield recipients[start : start + A_STEP]


def _present(contact: Contact | None, address: str) -> Contact:
    if contact is None:
        raise ContactNotFound(address)
    return contact
