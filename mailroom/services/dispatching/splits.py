"""A dispatch becomes several: one mechanism for a refused address, a part accepted, a provider with smaller batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from mailroom.coordination.fences import FenceAnswer, Fences
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import Lane, Token
from mailroom.storage import lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import splits as dispatch_splits
from mailroom.storage.dispatches.splits import DispatchPart, Split
from mailroom.storage.messages import document as messages

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Division:
    """A dispatch that is to go on in parts of at most so many messages, and why."""

    claimed: Claimed
    why: str
    most: int
    was_called: bool = True


def in_halves(claimed: Claimed, why: str) -> Division:
    return Division(claimed, why, -(-claimed.messages // 2))


def divide(
    db: Db, fences: Fences, divisions: Sequence[Division], tokens: Mapping[Lane, Token], *, by: str
) -> list[tuple[Claimed, FenceAnswer]]:
    """Replace each of these dispatches, refused for the sake of one of its recipients or too large for the provider, by
    its parts. Returns those that are left as they are, because an older copy of MongoDB does not know what their fences
    do: they were called before.

    The fence goes first, and remembers how: whoever finds the dispatch in `sending` afterwards, or in an older copy of
    MongoDB, divides it in the same way, into the same children. Raises StaleToken, Unavailable.
    """
    if not divisions:
        return []
    sizes = fences.split([(one.claimed, one.most) for one in divisions])
    now = server_now(db)
    addresses = messages.addresses_of(db, [one.claimed.id for one in divisions])
    left: list[tuple[Claimed, FenceAnswer]] = []
    for one, most in zip(divisions, sizes, strict=True):
        if isinstance(most, FenceAnswer):
            left.append((one.claimed, most))
            continue
        claimed, ids = one.claimed, sorted(addresses[one.claimed.id])
        pieces = [ids[start : start + most] for start in range(0, len(ids), most)]
        parts = [DispatchPart(piece, DispatchState.PENDING) for piece in pieces]
        log.warning("dispatch_divided", dispatch_id=claimed.id, messages=len(ids), parts=len(parts), reason=one.why)

        wanted = Split(claimed, parts, by, one.why, one.was_called)

        def work(session: Session, wanted: Split = wanted) -> None:
            lane = wanted.parent.claim.lane
            with lanes.under(db, {lane: tokens[lane]}, session) as guard:
                dispatch_splits.split(db, wanted, DispatchState.SENDING, now=now, guard=guard)

        in_transaction(db, work)
    return left
