"""A dispatch becomes several: one mechanism for a refused address, a part accepted, a provider with smaller batches."""

from collections.abc import Mapping, Sequence

import structlog

from mailroom.coordination.fences import Fences
from mailroom.domain.dispatches import Claimed, DispatchState
from mailroom.domain.ids import Lane, Token
from mailroom.storage import dispatch_splits, lanes, messages
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatch_splits import Part

log = structlog.get_logger()


def halve(
    db: Db, fences: Fences, refused: Sequence[tuple[Claimed, str]], tokens: Mapping[Lane, Token], *, by: str
) -> None:
    """Replace each of these dispatches, refused for the sake of one of its recipients, by two halves.

    The fence goes first: whoever finds the dispatch in `sending` afterwards, or in an older copy of MongoDB, halves it
    in the same way, into the same children. Raises StaleToken, Unavailable.
    """
    if not refused:
        return
    fences.split([claimed for claimed, _ in refused])
    now = server_now(db)
    addresses = messages.addresses_of(db, [claimed.id for claimed, _ in refused])
    for claimed, why in refused:
        ids = sorted(addresses[claimed.id])
        middle = len(ids) // 2
        parts = [Part(half, DispatchState.PENDING) for half in (ids[:middle], ids[middle:]) if half]
        log.warning("dispatch_halved", dispatch_id=claimed.id, messages=len(ids), reason=why)

        def work(session: Session, claimed: Claimed = claimed, parts: Sequence[Part] = parts, why: str = why) -> None:
            lanes.touch(db, {claimed.claim.lane: tokens[claimed.claim.lane]}, session)
            dispatch_splits.split(db, claimed, DispatchState.SENDING, parts, by=by, why=why, now=now, session=session)

        in_transaction(db, work)
