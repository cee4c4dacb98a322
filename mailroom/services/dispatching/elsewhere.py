"""Have single mails go by another provider while their first calls are in doubt, where their callers chose that."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from mailroom.domain.dispatches.elsewhere import GOES_ELSEWHERE_AFTER, First, others
from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.propagation import propagate_states
from mailroom.storage import lanes
from mailroom.storage.database import Session, in_transaction
from mailroom.storage.dispatches import elsewhere as dispatch_elsewhere
from mailroom.storage.dispatches.elsewhere import Departure
from mailroom.storage.providers import standings

log = structlog.get_logger()
_A_STEP: Final = 200


def move_elsewhere(work: LaneWork, providers: Sequence[str], *, now: datetime) -> int:
    """Move the mails of the held lanes that may go elsewhere, and whose calls have been in doubt for long enough.
    Returns how many moved. Without another provider that is enabled a mail stays, and is looked at again.

    `providers`: those of this sender. Their order is read once, here, for each mail. `now`: MongoDB's time, never ahead
    of it. Raises StaleToken, Unavailable.
    """
    before = now - GOES_ELSEWHERE_AFTER
    waiting = dispatch_elsewhere.to_move(work.db, list(work.held), marked_before=before, limit=_A_STEP)
    if not waiting:
        return 0
    order = [provider.name for provider in standings(work.db, providers) if provider.enabled]
    if len(order) == 1 and len(waiting) == _A_STEP:
        # Mails that no other provider could carry wait for long, and younger ones stand behind them.
        waiting = dispatch_elsewhere.to_move(
            work.db, list(work.held), marked_before=before, limit=_A_STEP, not_by=order[0]
        )
    leaving = [dispatch for dispatch in waiting if others(order, dispatch.provider or "")]
    if not leaving:
        return 0
    departures = [_departure(dispatch, others(order, dispatch.provider or "")) for dispatch in leaving]

    def write(session: Session) -> list[DispatchId]:
        with lanes.under(work.db, {dispatch.lane: work.held[dispatch.lane] for dispatch in leaving}, session) as guard:
            return dispatch_elsewhere.move(work.db, departures, by=work.sender, now=now, guard=guard)

    moved = in_transaction(work.db, write)
    for id_ in moved:
        log.warning("mail_went_elsewhere", dispatch_id=id_)
    propagate_states(work.db, [*moved, *(dispatch.id for dispatch in leaving)])
    return len(moved)


def _departure(dispatch: Dispatch, among: tuple[str, ...]) -> Departure:
    first = First.UNKNOWN if dispatch.state is DispatchState.UNKNOWN else First.IN_DOUBT
    return Departure(dispatch.id, dispatch.attempt, among, first)
