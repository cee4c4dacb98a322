"""Who did not get a mail, and a run to exactly those.

'Did not get it' is what is known: refused for good, bounced, rejected, cancelled. What is in doubt or unknown is told
apart, and never sent again on a guess; who must get nothing more stays out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from mailroom.domain.errors import ForgottenMeanwhile, NobodyLeft, RunUnderWay, StaleEdit
from mailroom.domain.ids import RunId, again_run_id, again_run_prefix, run_of_dispatch
from mailroom.domain.runs import Run, RunKind, RunState
from mailroom.domain.schedules import Revision
from mailroom.domain.spans import groups_of
from mailroom.services.common.idempotency import check_key
from mailroom.services.planning.asked_runs import add_asked, require_runnable
from mailroom.services.planning.decisions import planned_run
from mailroom.storage import kept_counts
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db, server_now, snapshot
from mailroom.storage.messages import unreached
from mailroom.storage.schedules import contents, runs, schedules

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class UnreachedRecipients:
    """A page of those who did not get it, and how many of all of them no other run carries."""

    rows: Sequence[Mapping[str, Any]]
    left: int


def unreached_by(db: Db, run_id: RunId, *, after: str, limit: int, left: int | None = None) -> UnreachedRecipients:
    """One page. `left`: the count of an earlier page, so that it is counted once for all pages. Raises RunNotFound."""
    run = runs.get(db, run_id)
    return UnreachedRecipients(
        unreached.page(db, run.id, after=after, limit=limit), left_of(db, run) if left is None else left
    )


def left_of(db: Db, run: Run) -> int:
    """How many recipients of a run did not get their mail and are not carried by another run. The count of a run that
    has ended is kept until one of its messages changes."""
    if not run.ended:
        return unreached.count(db, run.id)
    with snapshot(db) as session:
        kept = kept_counts.find(db, [run.id], session=session)[run.id]
        left = unreached.count(db, run.id, session=session) if kept.left is None else kept.left
    if kept.left is None:
        kept_counts.keep(db, {run.id: (kept, {"left": left})})
    return left


def run_again(
    db: Db,
    run_id: RunId,
    *,
    owner: str,
    key: str,
    batch_size: int,
    newest: bool = False,
    even_if_paused: bool = False,
) -> tuple[Run, bool]:
    """A run to the recipients that this one did not reach, in calls of about `batch_size` at most. `newest`: with the
    newest content instead of the same. The same key again finds the same run. No two runs carry the same recipient.

    Returns it, and whether it is new. Raises RunNotFound, RunUnderWay, NobodyLeft, ForgottenMeanwhile,
    ScheduleEnded, SchedulePaused, InvalidInput.
    """
    check_key(key)
    source = runs.get(db, run_id)
    again_id = again_run_id(source.id, owner, key)
    if earlier := runs.find(db, again_id):
        return earlier, False
    schedule = schedules.get(db, source.schedule_id)
    require_runnable(schedule, even_if_paused=even_if_paused)
    forgotten = _forgotten(db, source.id)
    if forgotten - {again_id}:
        raise ForgottenMeanwhile(f"MongoDB was put back to a copy that does not know of {', '.join(sorted(forgotten))}")
    if source.under_way:
        raise RunUnderWay(f"run {source.id} is still under way: not all is known of it yet")
    left = unreached.count(db, source.id)
    if source.state is RunState.SKIPPED or not unreached.left(db, source.id, after="", limit=1)[0]:
        raise NobodyLeft(f"there is nobody left whom run {source.id} did not reach")
    now = server_now(db)
    content = contents.get(db, schedule.id, schedule.revision if newest else source.revision)
    revision = Revision(schedule.revision if newest else source.revision, now, content.audience, left)
    groups = groups_of(left, batch_size)
    run = planned_run(again_id, schedule.id, RunKind.AGAIN, revision, due_at=now, now=now, source=source, groups=groups)
    if not add_asked(db, schedule, run):
        if earlier := runs.find(db, again_id):
            return earlier, False
        raise StaleEdit(f"schedule {schedule.id} was changed in the same moment; try again")
    log.info("run_again", run_id=run.id, source=source.id, recipients=left, by=owner)
    return run, True


def _forgotten(db: Db, source: RunId) -> set[RunId]:
    """Runs to those whom this one did not reach that a restored MongoDB knows nothing of: only their fences do."""
    found = restored_fences.beginning_with(db, again_run_prefix(source))
    named = {run_of_dispatch(id_) for id_ in found}
    return {run for run in named if runs.find(db, run) is None}
