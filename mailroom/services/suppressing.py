"""Suppressions looked at and lifted, and heeded at the last moment before a call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches import Claimed
from mailroom.domain.ids import DispatchId, digest_of_messages
from mailroom.domain.messages import Message
from mailroom.storage import dispatch_trims, lanes, suppressions
from mailroom.storage.database import Db, Session, in_transaction, server_now

log = structlog.get_logger()

Mails = dict[DispatchId, list[Message]]


@dataclass(frozen=True, slots=True)
class Suppression:
    address: str
    reason: str
    since: datetime


def page(db: Db, *, before: tuple[datetime, str] | None, limit: int) -> list[Suppression]:
    """Newest first."""
    found = suppressions.page(db, before=before, limit=limit)
    return [Suppression(doc["_id"], doc["reason"], doc["since"]) for doc in found]


def remove(db: Db, address: str) -> bool:
    """Let this address be mailed to again. False if it was not suppressed."""
    return suppressions.remove(db, address)


def leave_out_suppressed(db: Db, claimed: Sequence[Claimed], mails: Mails) -> tuple[list[Claimed], list[Claimed]]:
    """Take off these claims, not yet fenced, whom to mail has been forbidden since they were planned.

    Returns the claims with somebody left, as they stand now, and those with nobody left, which are cancelled; `mails`
    is changed accordingly. Raises StaleToken, Unavailable: nothing may be called.
    """
    suppressed = suppressions.among(db, list({fold(mail.address) for some in mails.values() for mail in some}))
    if not suppressed:
        return list(claimed), []
    trimmed = {c.id: _parted(mails[c.id], suppressed) for c in claimed}
    changed = [c for c in claimed if len(trimmed[c.id]) < len(mails[c.id])]
    now = server_now(db)

    def work(session: Session) -> None:
        lanes.touch(db, {c.claim.lane: c.claim.token for c in changed}, session)
        for c in changed:
            out = {mail.id: suppressed[fold(mail.address)] for mail in mails[c.id] if fold(mail.address) in suppressed}
            rest = [mail.id for mail in trimmed[c.id]]
            dispatch_trims.leave_out(db, c, out, rest, now=now, session=session)

    in_transaction(db, work)
    for c in changed:
        log.info("suppressed_left_out", dispatch_id=c.id, count=len(mails[c.id]) - len(trimmed[c.id]))
    mails |= trimmed
    stand = [_as_it_is(c, mails[c.id]) if c in changed else c for c in claimed]
    return [c for c in stand if mails[c.id]], [c for c in stand if not mails[c.id]]


def _parted(some: Sequence[Message], suppressed: Mapping[str, str]) -> list[Message]:
    return [mail for mail in some if fold(mail.address) not in suppressed]


def _as_it_is(claimed: Claimed, rest: Sequence[Message]) -> Claimed:
    return replace(claimed, messages=len(rest), digest=digest_of_messages([mail.id for mail in rest]))
