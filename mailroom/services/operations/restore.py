"""Repair a MongoDB that was restored from an older copy, and end the hold of all senders.

The dispatches that went out since the copy are pending again. Their fences would stop them, but the instants since the
copy must be planned again, not decided by the misfire rule, and tokens must go on growing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.coordination.fences import KEPT_FOR
from mailroom.coordination.mirror import Mirror
from mailroom.domain.backups import why_logs_cannot_tell
from mailroom.domain.dispatches.doubts import Timing
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.outcomes import CalledAt
from mailroom.domain.errors import CannotBeKnown, Unavailable
from mailroom.domain.ids import ClaimId, DispatchId, epoch_of
from mailroom.providers.base import Adapter
from mailroom.services.dispatching.propagation import propagate_left_over
from mailroom.services.operations.older_copy import OlderCopy, look
from mailroom.storage.cluster import etcd_epoch, restore_mark, restored_fences
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import acceptances
from mailroom.storage.dispatches import queries as dispatch_queries

log = structlog.get_logger()
_A_STEP: Final = 1_000
_AROUND: Final = timedelta(minutes=5)  # marks have MongoDB's time, log entries the provider's
CLOCKS_APART: Final = timedelta(seconds=5)  # MongoDB's clock and Redis'
_NO_MARK: Final = timedelta(days=1)  # before the loss, if the copy is older than any mark
# Instants due just after the last mark may have been decided already: they are planned as on time, not dropped.
_AFTER_THE_LAST_MARK: Final = timedelta(seconds=30)


def _store_from_logs(db: Db, adapters: Sequence[Adapter], since: datetime) -> None:
    """Store a fence for each dispatch that a provider's log shows as accepted and this database does not: it is in
    doubt before it is called again, and then reconciled."""
    for adapter in adapters:
        if not adapter.askable:
            continue
        accepted = sorted({id_ for id_, _ in adapter.accepted_since(adapter.account, since)})
        log.warning("redis_had_forgotten_too", provider=adapter.name, since=since, accepted_since=len(accepted))
        done = Fence(FenceState.DONE, claim_id=ClaimId(""), called_at=CalledAt(adapter.name, adapter.account))
        for start in range(0, len(accepted), _A_STEP):
            batch = accepted[start : start + _A_STEP]
            recorded = dispatch_queries.accepted_among(db, batch)
            lost = [(id_, done) for id_ in batch if id_ not in recorded]
            restored_fences.keep(db, lost, now=server_now(db), kept_for=KEPT_FOR)


def _store_newer(db: Db, fences: Sequence[tuple[DispatchId, Fence]]) -> None:
    """Store the fences of attempts that this database has lost."""
    attempts = dispatch_queries.attempts_of(db, [id_ for id_, _ in fences])
    newer = [(id_, fence) for id_, fence in fences if fence.attempt > attempts.get(id_, 0)]
    restored_fences.keep(db, newer, now=server_now(db), kept_for=KEPT_FOR)


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a repair after a restore."""

    hold: OlderCopy
    fences: int
    accepted: int  # dispatches whose acceptance the copy had lost
    # Accepted dispatches that the copy lacks altogether: they are planned again, and recognised.
    unknown_to_copy: int


def after_restore(
    db: Db,
    mirror: Mirror,
    adapters: Sequence[Adapter],
    *,
    timing: Timing,
    even_so: bool = False,
    advance: Callable[[int], None] = lambda _: None,
) -> Restored | None:
    """Repair a restored MongoDB and end the hold; None if it is not an older copy. May be repeated. `advance` is called
    with the number of each batch of fences.

    Replays the acceptances of the fences, stores the fences of lost attempts, raises the tokens' epoch above every
    token ever seen, and has the lost instants planned again. If Redis lost its memory after the copy was made, the
    providers' logs show the acceptances since. For a provider without a log nobody can know them, nor where the logs do
    not go back so far or are not complete yet. Mails may be sent again then: a person must allow this with `even_so`.
    Raises CannotBeKnown, Unavailable; the hold then goes on.
    """
    hold = look(db, mirror)
    if not isinstance(hold, OlderCopy):
        return None
    began = mirror.memory_since()
    if hold.copied_at is None or began >= hold.copied_at - CLOCKS_APART:
        blind = [adapter.name for adapter in adapters if not adapter.askable]
        why = f"{', '.join(blind)} cannot be asked what it took since {hold.copied_at}" if blind else None
        why = why or why_logs_cannot_tell(hold.copied_at, hold.lost_at, timing, now=server_now(db))
        if why and not even_so:
            raise CannotBeKnown(f"Redis has forgotten too, and {why}")
        _store_from_logs(db, adapters, (hold.copied_at or hold.lost_at - _NO_MARK) - _AROUND)
    fences = accepted = missing = 0
    for batch in mirror.fences():
        done = [(id_, fence) for id_, fence in batch if fence.state is FenceState.DONE]
        changed, existing = acceptances.replay_accepted(db, done)
        fences, accepted, missing = fences + len(batch), accepted + changed, missing + len(done) - existing
        _store_newer(db, batch)
        advance(len(batch))
    if mirror.memory_since() != began:
        raise Unavailable("Redis has restarted or failed over during the replay of its fences; run it again")
    while propagate_left_over(db):
        pass
    etcd_epoch.raise_epoch(db, epoch_of(mirror.highest_token()))
    since = hold.copied_at or datetime.min.replace(tzinfo=hold.lost_at.tzinfo)
    restore_mark.set_replay(db, since, hold.lost_at + _AFTER_THE_LAST_MARK)
    restore_mark.raise_mark(db, hold.reached, remembers=True)
    restore_mark.note_held(db, False)
    log.info("mongodb_put_right", fences=fences, accepted=accepted, unknown_to_copy=missing)
    return Restored(hold, fences, accepted, missing)
