"""Copy each dispatch's state to its messages, and finish runs without an open dispatch.

Idempotent; the janitor completes a propagation that a crash interrupted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from mailroom.domain.dispatches.elsewhere import trigger_for_messages
from mailroom.domain.dispatches.model import Propagation
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId, RunId, is_email
from mailroom.domain.messages.states import MessageTrigger
from mailroom.storage import holds, kept_counts
from mailroom.storage.database import Db
from mailroom.storage.dispatches import propagation
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.messages import marks as message_marks
from mailroom.storage.messages.marks import MessageMark
from mailroom.storage.schedules import open_runs, run_moves

_PROPAGATE_A_STEP: Final = 200
_FINISH_A_STEP: Final = 500


def propagate_states(db: Db, ids: Sequence[DispatchId]) -> None:
    """Copy the states of these dispatches to their messages, if not done yet. Raises Unavailable."""
    if ids:
        _propagate(db, propagation.pending_propagation_of(db, ids))


def propagate_left_over(db: Db) -> int:
    """Copy states that a crash left uncopied, a bounded number of dispatches. Returns how many."""
    pending = propagation.pending_propagation(db, limit=_PROPAGATE_A_STEP)
    _propagate(db, pending)
    return len(pending)


def finish_runs(db: Db, run_ids: Sequence[RunId], *, now: datetime) -> int:
    """Finish the runs among these that have no open dispatch. Returns how many. Ids of single mails are ignored."""
    campaigns = [run for run in dict.fromkeys(run_ids) if not is_email(run)]
    if not campaigns:
        return 0
    still_open = dispatch_queries.runs_with_open(db, campaigns)
    completed = [run for run in campaigns if run not in still_open]
    if not completed:
        return 0
    finished = run_moves.finish(db, completed, now=now)
    if finished:
        if paused := holds.held_among(db, completed):  # a run without open dispatches is paused no more
            holds.lift_from_runs(db, paused, by="finished", now=now)
        # From now on the counts of these runs may be cached.
        kept_counts.keep(db, {run: (kept_counts.KeptCount(), {}) for run in completed})
        # A person may have requeued a dispatch between the query and the write.
        run_moves.reopen(db, dispatch_queries.runs_with_open(db, completed))
    return finished


def finish_left_over(db: Db, *, now: datetime) -> int:
    """Finish every planned run without an open dispatch: a run that had no recipients, or whose last outcome was
    recorded just before a crash. Returns how many."""
    finished, last = 0, None
    while page := open_runs.planned(db, before=last, limit=_FINISH_A_STEP):
        finished += finish_runs(db, [run.id for run in page], now=now)
        last = page[-1]
    return finished


def _propagate(db: Db, pending: Sequence[Propagation]) -> None:
    marks: list[MessageMark] = []
    for dispatch in pending:
        if dispatch.moved:
            marks += _propagate_first(db, dispatch)
            continue
        trigger = trigger_for_messages(dispatch.state, dispatch.first)
        if trigger is MessageTrigger.SENT and dispatch.accepted_at is not None:
            message_marks.mark_sent(db, [dispatch.id], at=dispatch.accepted_at)
        elif trigger is not None:
            marks.append(MessageMark(dispatch.id, trigger, dispatch.reason, dispatch.code))
    message_marks.mark(db, marks)
    propagation.note_propagated(db, pending)


def _propagate_first(db: Db, dispatch: Propagation) -> list[MessageMark]:
    """Copy what is known of a first call to the messages that went elsewhere since. Returns the marks to make."""
    if dispatch.state is DispatchState.ACCEPTED and dispatch.accepted_at is not None:
        message_marks.mark_sent_first(db, [dispatch.id], at=dispatch.accepted_at)
    if dispatch.state is not DispatchState.IN_DOUBT:
        return []
    return [MessageMark(dispatch.id, MessageTrigger.IN_DOUBT, dispatch.reason, dispatch.code, first=True)]
