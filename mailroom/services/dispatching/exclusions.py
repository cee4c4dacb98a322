"""Drop recipients from a claimed dispatch just before the call: those suppressed since planning, and those that an
event shows to have received it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.ids import DispatchId, MessageId, digest_of_messages
from mailroom.domain.messages import Message
from mailroom.domain.suppressions import OF_CAMPAIGNS, OF_SINGLE_MAILS
from mailroom.storage import lanes, suppressions
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import exclusions as dispatch_exclusions

log = structlog.get_logger()

Mails = dict[DispatchId, list[Message]]


@dataclass(frozen=True, slots=True)
class _Parted:
    """The mails of one dispatch: forbidden ones with their reasons, those that went out, and who is left."""

    suppressed: dict[MessageId, str]
    gone: list[MessageId]
    rest: list[Message]


def leave_out(db: Db, claimed: Sequence[Claimed], mails: Mails) -> tuple[list[Claimed], list[Claimed]]:
    """Take off these claims, not yet fenced, whom to mail has been forbidden since they were planned, and who got the
    mail by an earlier call, as the provider has told since.

    Returns the claims with somebody left, as they stand now, and those with nobody left, which are over; `mails` is
    changed accordingly. Raises StaleToken, Unavailable: nothing may be called.
    """
    suppressed = _suppressed(db, claimed, mails)
    if not any(suppressed.values()) and not any(mail.sent for some in mails.values() for mail in some):
        return list(claimed), []
    parted = {c.id: _parted(mails[c.id], suppressed[c.id]) for c in claimed}
    changed = [c for c in claimed if len(parted[c.id].rest) < len(mails[c.id])]
    now = server_now(db)

    def work(session: Session) -> None:
        with lanes.under(db, {c.claim.lane: c.claim.token for c in changed}, session) as guard:
            for c in changed:
                found, rest = parted[c.id], [mail.id for mail in parted[c.id].rest]
                dispatch_exclusions.leave_out(db, c, found.suppressed, found.gone, rest, now=now, guard=guard)

    in_transaction(db, work)
    for c in changed:
        found = parted[c.id]
        log.info("left_out", dispatch_id=c.id, suppressed=len(found.suppressed), gone_out=len(found.gone))
        mails[c.id] = found.rest
    stand = [_as_it_is(c, mails[c.id]) if c in changed else c for c in claimed]
    return [c for c in stand if mails[c.id]], [c for c in stand if not mails[c.id]]


def _suppressed(db: Db, claimed: Sequence[Claimed], mails: Mails) -> dict[DispatchId, Mapping[str, str]]:
    """For each dispatch the folded addresses that get no mail of its kind, with the reason. One query for all."""
    keys = {fold(mail.address) for c in claimed for mail in mails[c.id]}
    found = suppressions.entries_among(db, list(keys))
    kinds = {scopes: suppressions.reasons(found, scopes) for scopes in (OF_CAMPAIGNS, OF_SINGLE_MAILS)}
    return {c.id: kinds[OF_CAMPAIGNS if c.schedule_id else OF_SINGLE_MAILS] for c in claimed}


def _parted(some: Sequence[Message], suppressed: Mapping[str, str]) -> _Parted:
    gone = [mail.id for mail in some if mail.sent]
    forbidden = {m.id: suppressed[fold(m.address)] for m in some if not m.sent and fold(m.address) in suppressed}
    rest = [mail for mail in some if not mail.sent and mail.id not in forbidden]
    return _Parted(forbidden, gone, rest)


def _as_it_is(claimed: Claimed, rest: Sequence[Message]) -> Claimed:
    return replace(claimed, messages=len(rest), digest=digest_of_messages([mail.id for mail in rest]))
