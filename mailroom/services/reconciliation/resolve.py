"""Resolve dispatches by a person's decision: an unknown one went out, or is sent again."""

from enum import StrEnum

import structlog

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.errors import DispatchNotUnknown
from mailroom.domain.ids import DispatchId
from mailroom.services.dispatching.propagation import finish_runs, propagate_states
from mailroom.services.dispatching.requeue import send_again, why_not
from mailroom.storage import lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.dispatches import queries as dispatch_queries

log = structlog.get_logger()


class Resolution(StrEnum):
    """The decisions that a person can make."""

    WENT_OUT = "went_out"
    SEND_AGAIN = "send_again"


def resolve(db: Db, dispatch: DispatchId, word: Resolution, *, by: str, attempt: int | None = None) -> None:
    """Resolve an `unknown` dispatch by a person's decision: it went out, or it is sent again as a new attempt.

    WENT_OUT is valid for a dispatch in doubt too. SEND_AGAIN is valid for a failed dispatch too, which is known not to
    have gone out; it is refused for a dispatch in doubt, because the provider can still be asked. `attempt`: refuse
    unless it is still the dispatch's attempt. Raises DispatchNotFound, DispatchNotUnknown.
    """
    as_read = dispatch_queries.get(db, dispatch)
    if attempt is not None and as_read.attempt != attempt:
        raise DispatchNotUnknown(dispatch, f"it has come to attempt {as_read.attempt} since")
    if not (_went_out(db, as_read, by) if word is Resolution.WENT_OUT else send_again(db, {dispatch: as_read}, by=by)):
        raise DispatchNotUnknown(dispatch, why_not(db, dispatch))


def _went_out(db: Db, dispatch: Dispatch, by: str) -> bool:
    now = server_now(db)

    def work(session: Session) -> bool:
        lanes.collide(db, [dispatch.lane], session)
        return dispatch_doubts.went_out(db, dispatch.id, dispatch.attempt, by=by, now=now, session=session)

    if not in_transaction(db, work):
        return False
    log.info("dispatch_resolved", dispatch_id=dispatch.id, word=Resolution.WENT_OUT, by=by)
    propagate_states(db, [dispatch.id])
    finish_runs(db, [dispatch.run_id], now=now)
    return True
