"""Copy each dispatch's state to its messages, and finish runs without an open dispatch.

Idempotent; the janitor completes what a crash left undone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mailroom.domain.dispatches.states import TELLS_MESSAGES, DispatchState
from mailroom.domain.ids import DispatchId, RunId, is_email
from mailroom.domain.messages import MessageTrigger
from mailroom.storage import holds, kept_counts
from mailroom.storage.database import Db
from mailroom.storage.dispatches import outcomes as dispatch_outcomes
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.messages import marks as message_marks
from mailroom.storage.schedules import runs

TELL_A_STEP: Final = 200
FINISH_A_STEP: Final = 500


def propagate_states(db: Db, ids: Sequence[DispatchId]) -> None:
    """Let the messages of these dispatches know what became of them, where they do not yet."""
    if ids:
        _propagate(db, dispatch_outcomes.pending_propagation_of(db, ids))


def propagate_left_over(db: Db) -> int:
    """Tell messages whose dispatch was written by somebody who did not come to tell them. Returns how many."""
    left = dispatch_outcomes.pending_propagation(db, limit=TELL_A_STEP)
    _propagate(db, left)
    return len(left)


def finish_runs(db: Db, run_ids: Sequence[RunId], *, now: datetime) -> int:
    """Finish those of the runs that have no open dispatch. Returns how many."""
    asked = [run for run in dict.fromkeys(run_ids) if not is_email(run)]
    if not asked:
        return 0
    still_open = dispatch_queries.runs_with_open(db, asked)
    through = [run for run in asked if run not in still_open]
    if not through:
        return 0
    finished = runs.finish(db, through, now=now)
    if finished:
        if paused := holds.held_among(db, through):  # with nothing left to send, a pause is over too
            holds.lift_from_runs(db, paused, by="finished", now=now)
        kept_counts.keep(
            db, {run: (kept_counts.KeptCount(), {}) for run in through}
        )  # from now on its counts may be kept
        # A person may have had something sent again between the look and the write.
        runs.reopen(db, dispatch_queries.runs_with_open(db, through))
    return finished


def finish_left_over(db: Db, *, now: datetime) -> int:
    """Finish every planned run that is through but was not finished: one that had nobody to mail to, or whose last
    outcome was written just before a crash. Returns how many."""
    finished, after = 0, RunId("")
    while page := runs.planned_after(db, after, limit=FINISH_A_STEP):
        finished += finish_runs(db, page, now=now)
        after = page[-1]
    return finished


def _propagate(db: Db, documents: Sequence[Mapping[str, Any]]) -> None:
    marks = []
    for doc in documents:
        learnt = TELLS_MESSAGES.get(DispatchState(doc["state"]))
        if learnt is MessageTrigger.SENT:
            message_marks.mark_sent(db, [DispatchId(doc["_id"])], at=doc["accepted"][0]["at"])
        elif learnt is not None:
            marks.append((DispatchId(doc["_id"]), learnt, doc.get("reason") or "", doc.get("code")))
    message_marks.mark(db, marks)
    dispatch_outcomes.note_propagated(db, {DispatchId(doc["_id"]): DispatchState(doc["state"]) for doc in documents})
