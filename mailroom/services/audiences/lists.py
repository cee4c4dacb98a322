"""Audiences: lists of contacts under a name, for any number of schedules. Their contacts change: see contacts.py."""

import hashlib
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from mailroom.domain.addresses import breaks_header
from mailroom.domain.audiences import Audience, Recipient, Screened, check_recipients, screen
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_NAME
from mailroom.domain.lists.rows import RefusedRow
from mailroom.services.common.idempotency import check_key, check_repeated, digest_of_request
from mailroom.storage.audiences import document as audiences
from mailroom.storage.audiences import members
from mailroom.storage.database import Db, server_now


@dataclass(frozen=True, slots=True)
class NewAudience:
    """A list as it is asked for; `recipients` are rows of address, name and variables; None: nobody is in it yet.
    `on_invalid`: `skip` leaves invalid rows out and reports them, `refuse` refuses the whole list for one of them."""

    name: str
    recipients: Sequence[object] | None = None
    on_invalid: str = field(default="refuse", metadata={"compared": False})


@dataclass(frozen=True, slots=True)
class CreatedAudience:
    """A saved list, whether it is new, and the rows that were left out (the first; `refused_count` counts all)."""

    audience: Audience
    new: bool
    refused: Sequence[RefusedRow] = ()
    refused_count: int = 0


def create(db: Db, asked: NewAudience, *, owner: str, key: str) -> CreatedAudience:
    """Save a list. The same request again, by its Idempotency-Key, finds the same one.

    Raises InvalidInput, IdempotencyMismatch, Unavailable.
    """
    check_key(key)
    request, digest = f"{owner}/{key}", _digest(asked)
    earlier = _repeated(db, request, digest)
    if earlier and asked.on_invalid == "refuse":
        return CreatedAudience(earlier, new=False)
    screened = _checked(asked)
    if earlier:
        return CreatedAudience(earlier, False, screened.refused, screened.refused_count)
    audience, new = _save(db, asked.name, screened.recipients, request=request, digest=digest)
    return CreatedAudience(audience, new, screened.refused, screened.refused_count)


def create_of(
    db: Db,
    name: str,
    recipients: Collection[Recipient],
    *,
    owner: str,
    key: str,
    advance: Callable[[int], None] | None = None,
) -> CreatedAudience:
    """Save recipients that are checked already, in the order of their folded addresses. The same request again finds
    the same list. `advance` is called with the number of each batch that is stored.

    Raises InvalidInput, IdempotencyMismatch, Unavailable.
    """
    check_key(key)
    if faults := faults_of_name(name):
        raise InvalidInput(*faults)
    request, digest = f"{owner}/{key}", digest_of_checked(name, recipients)
    if earlier := _repeated(db, request, digest):
        return CreatedAudience(earlier, new=False)
    if not recipients:
        raise InvalidInput(_NOBODY)
    return CreatedAudience(*_save(db, name, recipients, request=request, digest=digest, advance=advance))


def _save(
    db: Db,
    name: str,
    recipients: Collection[Recipient],
    *,
    request: str,
    digest: str,
    advance: Callable[[int], None] | None = None,
) -> tuple[Audience, bool]:
    """Returns (the saved list, or that of the same request; whether it is new). Raises IdempotencyMismatch."""
    audience = audiences.stage(db, recipients, now=server_now(db), advance=advance)
    try:
        audiences.enlist(db, audience, name=name.strip(), request=request, digest=digest)
    except audiences.AlreadyListed:  # the same key came twice in one moment
        repeated = _repeated(db, request, digest)
        if repeated is None:
            raise
        return repeated, False
    return audiences.get(db, audience), True


def get(db: Db, audience: AudienceId) -> Audience:
    """A listed audience, or a schedule's own. Raises AudienceNotFound."""
    return audiences.get(db, audience)


def page(db: Db, *, before: tuple[datetime, str] | None, limit: int) -> list[Audience]:
    """Listed audiences, newest first."""
    return audiences.page(db, before=before, limit=limit)


def recipients(db: Db, audience: AudienceId, *, after: str, limit: int) -> list[Recipient]:
    """In the order of their folded addresses, after this one. Raises AudienceNotFound."""
    audiences.get(db, audience)
    return [contact.recipient for contact in members.contacts_after(db, audience, after, limit)]


def drop(db: Db, audience: AudienceId) -> None:
    """Take it off the list. Schedules that go to it still do; where none does, its members are removed within a day or
    so. Raises AudienceNotFound."""
    audiences.drop(db, audience)


def faults_of(asked: NewAudience) -> tuple[Fault, ...]:
    """Every fault of a list that is refused in any case."""
    try:
        _checked(asked)
    except InvalidInput as error:
        return error.faults
    return ()


def _checked(asked: NewAudience) -> Screened:
    """Raises InvalidInput with every fault."""
    faults = faults_of_name(asked.name)
    try:
        if asked.recipients is None:
            found = Screened((), (), 0, 0)
        elif asked.on_invalid == "skip":
            found = _somebody(screen(enumerate(asked.recipients, 1)))
        else:
            found = Screened(check_recipients(asked.recipients), (), 0, len(asked.recipients))
    except InvalidInput as error:
        raise InvalidInput(*faults, *error.faults) from None
    if faults:
        raise InvalidInput(*faults)
    return found


_MOST_FAULTS: Final = 1_000
_NOBODY: Final = Fault("recipients", "at least one recipient is needed")


def _somebody(screened: Screened) -> Screened:
    """The same list. Raises InvalidInput if it has no recipient."""
    if screened.recipients:
        return screened
    faults = [Fault(f"recipients[{one.row - 1}]", one.message) for one in screened.refused[:_MOST_FAULTS]]
    raise InvalidInput(_NOBODY, *faults)


def faults_of_name(name: str) -> list[Fault]:
    if not 0 < len(name.strip()) <= MAX_NAME or breaks_header(name):
        return [Fault("name", f"1 to {MAX_NAME} characters in one line")]
    return []


def digest_of_checked(name: str, recipients: Collection[Recipient]) -> str:
    """The digest of a request for these, read one at a time: that of the same `NewAudience`."""
    digest = hashlib.sha256(f'{{"name": {json.dumps(name)}, "recipients": ['.encode())
    for number, recipient in enumerate(recipients):
        digest.update(f"{', ' if number else ''}{json.dumps(str(recipient))}".encode())
    digest.update(b"]}")
    return digest.hexdigest()


def _digest(asked: NewAudience) -> str:
    """The digest of a request. With `refuse` it equals the digests stored before `on_invalid` existed."""
    return digest_of_request(asked) + ("/skip" if asked.on_invalid == "skip" else "")


def _repeated(db: Db, request: str, digest: str) -> Audience | None:
    found = audiences.of_request(db, request)
    if found is None:
        return None
    check_repeated(found[1], digest)
    return found[0]
