"""Drop recipients from a claimed dispatch just before the call: those suppressed or erased since planning, and those
that an event shows to have received it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import structlog
from msgspec.structs import replace

from mailroom.domain.addresses import fold
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.erasures import ERASED_REASON
from mailroom.domain.ids import DispatchId, MessageId, digest_of_messages
from mailroom.domain.messages.model import Message
from mailroom.domain.topics import scopes_of_campaign, scopes_of_mail
from mailroom.storage import lanes, suppressions
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import exclusions as dispatch_exclusions
from mailroom.storage.dispatches.exclusions import Exclusion

log = structlog.get_logger()

Mails = dict[DispatchId, list[Message]]
NO_TOPICS: Final[Mapping[DispatchId, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Partition:
    """The mails of a dispatch: the suppressed and erased ones with their reasons, those that went out, and the
    remaining ones."""

    suppressed: dict[MessageId, str]
    gone: list[MessageId]
    remaining: list[Message]


def leave_out(
    db: Db, claimed: Sequence[Claimed], mails: Mails, topics: Mapping[DispatchId, str] = NO_TOPICS
) -> tuple[list[Claimed], list[Claimed]]:
    """Drop recipients from claimed dispatches that are not yet fenced: recipients suppressed or erased since planning,
    and recipients that an event shows to have the mail by an earlier call. `topics`: of the dispatches whose mail has
    one.

    Returns (the claims with recipients, as they are now stored; the claims without a recipient left, which are over).
    Removes the dropped mails from `mails`. Raises StaleToken, Unavailable: nothing may be called then.
    """
    suppressed = _suppressed(db, claimed, mails, topics)
    if not any(suppressed.values()) and not any(mail.sent or mail.erased for batch in mails.values() for mail in batch):
        return list(claimed), []
    partitions = {c.id: _partition(mails[c.id], suppressed[c.id]) for c in claimed}
    changed = [c for c in claimed if len(partitions[c.id].remaining) < len(mails[c.id])]
    if not changed:
        return list(claimed), []  # the suppressed addresses belong to another kind of mail
    now = server_now(db)

    def work(session: Session) -> None:
        with lanes.under(db, {c.claim.lane: c.claim.token for c in changed}, session) as guard:
            for c in changed:
                partition = partitions[c.id]
                remaining = [mail.id for mail in partition.remaining]
                exclusion = Exclusion(partition.suppressed, partition.gone, remaining)
                dispatch_exclusions.leave_out(db, c, exclusion, now=now, guard=guard)

    in_transaction(db, work)
    for c in changed:
        partition = partitions[c.id]
        log.info("left_out", dispatch_id=c.id, suppressed=len(partition.suppressed), gone_out=len(partition.gone))
        mails[c.id] = partition.remaining
    current = [_with_mails(c, mails[c.id]) if c in changed else c for c in claimed]
    return [c for c in current if mails[c.id]], [c for c in current if not mails[c.id]]


def _suppressed(
    db: Db, claimed: Sequence[Claimed], mails: Mails, topics: Mapping[DispatchId, str]
) -> dict[DispatchId, Mapping[str, str]]:
    """For each dispatch the folded addresses suppressed for its kind of mail, with the reason. One query for all."""
    keys = {fold(mail.address) for c in claimed for mail in mails[c.id]}
    entries = suppressions.entries_among(db, list(keys))
    scopes = {c.id: _scopes(c, topics.get(c.id, "")) for c in claimed}
    reasons = {kind: suppressions.reasons(entries, kind) for kind in set(scopes.values())}
    return {c.id: reasons[scopes[c.id]] for c in claimed}


def _scopes(claimed: Claimed, topic: str) -> frozenset[str]:
    return scopes_of_campaign(topic) if claimed.schedule_id else scopes_of_mail(topic)


def _partition(mails: Sequence[Message], suppressed: Mapping[str, str]) -> _Partition:
    gone = [mail.id for mail in mails if mail.sent]
    reasons = {m.id: why for m in mails if not m.sent and (why := _why_left_out(m, suppressed))}
    remaining = [mail for mail in mails if not mail.sent and mail.id not in reasons]
    return _Partition(reasons, gone, remaining)


def _why_left_out(mail: Message, suppressed: Mapping[str, str]) -> str | None:
    return ERASED_REASON if mail.erased else suppressed.get(fold(mail.address))


def _with_mails(claimed: Claimed, mails: Sequence[Message]) -> Claimed:
    digest = digest_of_messages([mail.id for mail in mails])
    return replace(claimed, messages=len(mails), digest=digest, left_out=True)
