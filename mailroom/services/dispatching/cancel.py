"""Cancel a run: none of its dispatches is called any more."""

from datetime import datetime

from mailroom.domain.errors import RunEnded
from mailroom.domain.ids import RunId
from mailroom.domain.runs import Run
from mailroom.services.dispatching.propagation import propagate_left_over
from mailroom.storage import holds
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.schedules import run_moves, runs


def cancel(db: Db, run_id: RunId) -> Run:
    """Send nothing more of this run. Its dispatches in flight are finished, and their outcomes are shown.

    Raises RunNotFound, RunEnded.
    """
    now = server_now(db)

    if not in_transaction(db, lambda session: cancel_within(db, run_id, now=now, session=session)):
        run = runs.get(db, run_id)
        raise RunEnded(f"run {run_id} is {run.state} already")
    propagate_left_over(db)
    return runs.get(db, run_id)


def cancel_within(db: Db, run_id: RunId, *, now: datetime, session: Session) -> bool:
    """Cancel a run inside a transaction. True if it was open."""
    if not run_moves.cancel(db, run_id, now=now, session=session):
        return False
    dispatch_outcomes.cancel(db, run_id, now=now, session=session)
    holds.lift_from_runs(db, [run_id], by="cancelled", now=now, session=session)
    return True
