"""Is MongoDB the one that it was? A MongoDB that was put back to an older copy is noticed, held, and put right.

Senders raise a mark in MongoDB every moment and mirror it in Redis. A mark in MongoDB below the mirrored one means that
what was written since is forgotten: dispatches that went out stand as waiting. Their fences would stop them, but the
instants in between must be planned again, not decided by the misfire rule, and tokens must go on growing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from mailroom.coordination.fences import KEPT_FOR
from mailroom.coordination.mirror import Mark, Mirror
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.errors import CannotBeKnown
from mailroom.domain.ids import ClaimId, DispatchId, epoch_of
from mailroom.domain.outcomes import CalledAt
from mailroom.providers.base import Adapter
from mailroom.services.dispatching.propagation import propagate_left_over
from mailroom.storage.cluster import etcd_epoch, restore_mark, restored_fences
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.dispatches import queries as dispatch_queries

log = structlog.get_logger()
# What was due after the last mark may have been decided still: it is planned as on time rather than dropped.
_A_STEP: Final = 1_000
_AROUND: Final = timedelta(minutes=5)  # marks are MongoDB's time, the log's are the provider's
CLOCKS_APART: Final = timedelta(seconds=5)  # MongoDB's from Redis'
_NO_MARK: Final = timedelta(days=1)  # back from the loss, where the copy is older than any mark
_AFTER_THE_LAST_MARK: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class OlderCopy:
    """MongoDB is an older copy: it knows nothing of what happened after `copied_at`, up to `lost_at` and maybe a
    moment longer. None where the copy is older than any mark."""

    copied_at: datetime | None
    lost_at: datetime


def look(db: Db, mirror: Mirror) -> OlderCopy | int:
    """A Hold if MongoDB is an older copy; else its mark. Changes nothing. Raises Unavailable.

    Redis is read first: whatever it shows, MongoDB had reached before.
    """
    mirrored = mirror.read()
    number, at = restore_mark.mark(db)
    if mirrored is not None and number < mirrored.number:
        return OlderCopy(at, mirrored.at)
    return number


@dataclass(frozen=True, slots=True)
class Healthy:
    """MongoDB is no older copy, and has come to this mark. `remembers`: it was one once, and keeps what fences knew."""

    mark: int
    remembers: bool


def check(db: Db, mirror: Mirror) -> OlderCopy | Healthy:
    """A Hold if MongoDB is an older copy; else its mark, raised and mirrored. Raises Unavailable."""
    found = look(db, mirror)
    if isinstance(found, OlderCopy):
        return found
    raised, now, remembers = restore_mark.raise_mark(db)
    mirror.raise_to(Mark(raised, now))
    return Healthy(raised, remembers)


def _remember_from_logs(db: Db, adapters: Sequence[Adapter], since: datetime) -> None:
    """Keep what the providers' logs show as accepted, and this database does not: each is in doubt before it is called
    again, and then looked up for good."""
    for one in adapters:
        if not one.askable:
            continue
        found = sorted({id_ for id_, _ in one.accepted_since(one.account, since)})
        log.warning("redis_had_forgotten_too", provider=one.name, since=since, accepted_since=len(found))
        done = Fence(FenceState.DONE, claim_id=ClaimId(""), called_at=CalledAt(one.name, one.account))
        for start in range(0, len(found), _A_STEP):
            some = found[start : start + _A_STEP]
            known = dispatch_queries.accepted_among(db, some)
            made = [(id_, done) for id_ in some if id_ not in known]
            restored_fences.keep(db, made, now=server_now(db), kept_for=KEPT_FOR)


def _remember(db: Db, some: Sequence[tuple[DispatchId, Fence]]) -> None:
    """Keep what fences know of attempts that this database does not."""
    attempts = dispatch_queries.attempts_of(db, [id_ for id_, _ in some])
    newer = [(id_, fence) for id_, fence in some if fence.attempt > attempts.get(id_, 0)]
    restored_fences.keep(db, newer, now=server_now(db), kept_for=KEPT_FOR)


def say_held(db: Db) -> None:
    """Let API and pages show that senders hold. Raises Unavailable."""
    restore_mark.note_held(db, True)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put right after a restore."""

    hold: OlderCopy
    fences: int
    accepted: int  # dispatches that the copy did not know to be accepted
    # Accepted dispatches that the copy does not know at all: they are planned again, and recognised.
    unknown_to_copy: int


def after_restore(db: Db, mirror: Mirror, adapters: Sequence[Adapter], *, even_so: bool = False) -> Restored | None:
    """Put a restored MongoDB right and end the hold; None if it is not an older copy. May be repeated.

    Replays the fences, keeps what they know beyond that, raises the tokens' epoch above all that was ever seen, and has
    the forgotten instants planned. Where Redis lost its memory after the copy was made, the provider's log says what it
    accepted since; where one cannot be asked, nobody knows, and what it took may be sent again: a person must say
    `even_so`. Raises CannotBeKnown, Unavailable; then the hold stands.
    """
    hold, mirrored = look(db, mirror), mirror.read()
    if not isinstance(hold, OlderCopy) or mirrored is None:
        return None
    began = mirror.memory_since()
    if hold.copied_at is None or began >= hold.copied_at - CLOCKS_APART:
        blind = [one.name for one in adapters if not one.askable]
        if blind and not even_so:
            raise CannotBeKnown(
                f"Redis has forgotten too, and {', '.join(blind)} cannot be asked what it took since {hold.copied_at}"
            )
        _remember_from_logs(db, adapters, (hold.copied_at or hold.lost_at - _NO_MARK) - _AROUND)
    fences = accepted = missing = 0
    for some in mirror.fences():
        done = [(id_, fence) for id_, fence in some if fence.state is FenceState.DONE]
        changed, known = dispatch_outcomes.replay_accepted(db, done)
        fences, accepted, missing = fences + len(some), accepted + changed, missing + len(done) - known
        _remember(db, some)
    while propagate_left_over(db):
        pass
    etcd_epoch.raise_epoch(db, epoch_of(mirror.highest_token()))
    since = hold.copied_at or datetime.min.replace(tzinfo=hold.lost_at.tzinfo)
    restore_mark.set_replay(db, since, hold.lost_at + _AFTER_THE_LAST_MARK)
    restore_mark.raise_mark(db, mirrored.number, remembers=True)
    restore_mark.note_held(db, False)
    log.info("mongodb_put_right", fences=fences, accepted=accepted, unknown_to_copy=missing)
    return Restored(hold, fences, accepted, missing)
