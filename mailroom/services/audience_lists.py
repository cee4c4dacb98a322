"""Audiences that are kept under a name, for any number of schedules. One never changes: an edited list is a new one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailroom.domain.addresses import breaks_header
from mailroom.domain.audiences import Audience, Known, Recipient, check_recipients
from mailroom.domain.errors import AudienceNotFound, Fault, IdempotencyMismatch, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_NAME
from mailroom.services.idempotency import check_key, digest_of_request
from mailroom.storage import audiences
from mailroom.storage.database import Db, server_now


@dataclass(frozen=True, slots=True)
class NewList:
    """What was asked for; `recipients` are rows of address, name and variables."""

    name: str
    recipients: Sequence[dict[str, Any]]


def create(db: Db, asked: NewList, *, owner: str, key: str) -> tuple[Audience, bool]:
    """Keep a list, whole or not at all. The same request again, by its Idempotency-Key, finds the same one.

    Returns it, and whether it is new. Raises InvalidInput, IdempotencyMismatch, Unavailable.
    """
    check_key(key)
    request, digest = f"{owner}/{key}", digest_of_request(asked)
    if earlier := _repeated(db, request, digest):
        return earlier, False
    members = _checked(asked)
    audience = audiences.stage(db, members, now=server_now(db))
    try:
        audiences.enlist(db, audience, name=asked.name.strip(), request=request, digest=digest)
    except audiences.AlreadyListed:  # the same key came twice in one moment
        repeated = _repeated(db, request, digest)
        if repeated is None:
            raise
        return repeated, False
    return audiences.get(db, audience), True


def get(db: Db, audience: AudienceId) -> Audience:
    """One that is listed, or a schedule's own. Raises AudienceNotFound."""
    return audiences.get(db, audience)


def page(db: Db, *, before: tuple[datetime, str] | None, limit: int) -> list[Audience]:
    """Those that are listed, newest first."""
    return audiences.page(db, before=before, limit=limit)


def members(db: Db, audience: AudienceId, *, after: str, limit: int) -> list[Recipient]:
    """In the order of their folded addresses, after this one. Raises AudienceNotFound."""
    audiences.get(db, audience)
    return audiences.after(db, audience, after, limit)


def drop(db: Db, audience: AudienceId) -> None:
    """Take it off the list. Schedules that go to it still do; where none does, its members are removed within a day or
    so. Raises AudienceNotFound."""
    audiences.drop(db, audience)


def named(db: Db, id_: str) -> tuple[Audience, Known]:
    """The one that a draft names, and what templates may count on. Raises InvalidInput."""
    try:
        return audiences.get(db, AudienceId(id_)), audiences.known(db, AudienceId(id_))
    except AudienceNotFound as error:
        raise InvalidInput(Fault("audience", str(error))) from None


def faults_of(asked: NewList) -> tuple[Fault, ...]:
    """Everything that is wrong with a list that is refused anyway."""
    try:
        _checked(asked)
    except InvalidInput as error:
        return error.faults
    return ()


def _checked(asked: NewList) -> list[Recipient]:
    """Raises InvalidInput with every fault."""
    faults = []
    if not 0 < len(asked.name.strip()) <= MAX_NAME or breaks_header(asked.name):
        faults.append(Fault("name", f"1 to {MAX_NAME} characters in one line"))
    try:
        found = check_recipients(asked.recipients)
    except InvalidInput as error:
        raise InvalidInput(*faults, *error.faults) from None
    if faults:
        raise InvalidInput(*faults)
    return found


def _repeated(db: Db, request: str, digest: str) -> Audience | None:
    found = audiences.of_request(db, request)
    if found is None:
        return None
    if found[1] != digest:
        raise IdempotencyMismatch("this Idempotency-Key was used with another body")
    return found[0]
