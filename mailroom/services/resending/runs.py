"""Resend a run: a new run to exactly the recipients that it did not reach.

A recipient counts as unreached only if this is known: refused permanently, bounced, rejected, cancelled. Messages in
doubt or unknown are reported apart, and never resent on a guess. Suppressed recipients are excluded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from mailroom.domain.dispatches.spans import groups_of
from mailroom.domain.errors import ContentWithoutTopic, ForgottenMeanwhile, NobodyLeft, RunUnderWay, StaleEdit
from mailroom.domain.ids import RunId, again_run_id, again_run_prefix, run_of_dispatch
from mailroom.domain.messages.model import StoredMessage
from mailroom.domain.runs import Run, RunKind, RunState
from mailroom.domain.schedules import Content, revision_of
from mailroom.services.common.idempotency import check_key
from mailroom.services.planning.asked_runs import add_asked, require_runnable
from mailroom.services.planning.decisions import planned_run
from mailroom.storage import kept_counts
from mailroom.storage.cluster import restored_fences
from mailroom.storage.database import Db, Session, in_snapshot, server_now
from mailroom.storage.messages import unreached
from mailroom.storage.schedules import contents, runs, schedules

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class UnreachedRecipients:
    """A page of unreached recipients, and the number of all of them that no other run carries."""

    messages: Sequence[StoredMessage]
    left: int


def unreached_by(db: Db, run_id: RunId, *, after: str, limit: int, left: int | None = None) -> UnreachedRecipients:
    """A page of unreached recipients. `left`: the count from an earlier page, which saves a count. Raises
    RunNotFound."""
    run = runs.get(db, run_id)
    return UnreachedRecipients(
        unreached.page(db, run.id, after=after, limit=limit), left_of(db, run) if left is None else left
    )


def left_of(db: Db, run: Run) -> int:
    """The number of recipients of a run that it did not reach and that no other run carries. The count of an ended run
    is cached until one of its messages changes."""
    if not run.ended:
        return unreached.count(db, run.id)

    def read(session: Session) -> tuple[kept_counts.KeptCount, int]:
        cached = kept_counts.find(db, [run.id], session=session)[run.id]
        return cached, unreached.count(db, run.id, session=session) if cached.left is None else cached.left

    cached, count = in_snapshot(db, read)
    if cached.left is None:
        kept_counts.keep(db, {run.id: (cached, {"left": count})})
    return count


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
    """Add a run to the recipients that this run did not reach, in calls of about `batch_size` recipients at most.
    `newest`: with the newest content instead of the same. Idempotent by `key`. No two runs carry the same recipient.

    Returns (the run, whether it is new). Raises RunNotFound, RunUnderWay, NobodyLeft, ForgottenMeanwhile,
    ContentWithoutTopic, ScheduleEnded, SchedulePaused, StaleEdit, InvalidInput.
    """
    check_key(key)
    source = runs.get(db, run_id)
    again_id = again_run_id(source.id, owner, key)
    if earlier := runs.find(db, again_id):
        return earlier, False
    schedule = schedules.get(db, source.schedule_id)
    require_runnable(schedule, even_if_paused=even_if_paused)
    recipients = _count_unreached(db, source, again_id)
    now, number = server_now(db), schedule.revision if newest else source.revision
    written = contents.get_many(db, [(schedule.id, number), (schedule.id, schedule.revision)])
    content = written[schedule.id, number]
    _require_topic(content, written[schedule.id, schedule.revision])
    revision = replace(revision_of(content, number, now), recipients=recipients)
    groups = groups_of(recipients, batch_size)
    run = planned_run(again_id, schedule.id, RunKind.AGAIN, revision, due_at=now, now=now, source=source, groups=groups)
    if not newest:  # the data of its recipients are those of the source
        run = replace(run, selection=source.goes_to)
    if not add_asked(db, schedule, run, pin=newest):
        if earlier := runs.find(db, again_id):
            return earlier, False
        raise StaleEdit(f"schedule {schedule.id} was changed in the same moment; try again")
    log.info("run_again", run_id=run.id, source=source.id, recipients=recipients, by=owner)
    return run, True


def _require_topic(content: Content, newest: Content) -> None:
    """Raises ContentWithoutTopic for content from before its schedule had the topic that it has now: it would go to
    readers who have left, without a link to leave."""
    if newest.topic and content.topic != newest.topic:
        raise ContentWithoutTopic(newest.topic)


def _count_unreached(db: Db, source: Run, again_id: RunId) -> int:
    """The number of recipients that the run did not reach. Raises ForgottenMeanwhile, RunUnderWay, NobodyLeft."""
    forgotten = _forgotten(db, source.id)
    if forgotten - {again_id}:
        raise ForgottenMeanwhile(f"MongoDB was put back to a copy that does not know of {', '.join(sorted(forgotten))}")
    if source.under_way:
        raise RunUnderWay(f"run {source.id} is still under way: not all is known of it yet")
    if source.state is RunState.SKIPPED or not unreached.left(db, source.id, after="", limit=1).messages:
        raise NobodyLeft(f"run {source.id}")
    return unreached.count(db, source.id)


def _forgotten(db: Db, source: RunId) -> set[RunId]:
    """Earlier resends of this run that a restored MongoDB has lost: only their fences show them."""
    dispatches = restored_fences.beginning_with(db, again_run_prefix(source))
    named = {run_of_dispatch(id_) for id_ in dispatches}
    return {run for run in named if runs.find(db, run) is None}
