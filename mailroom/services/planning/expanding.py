"""Expand runs into messages and dispatches: by the holder of the lanes, in bulk.

Every transaction here touches the lanes' documents with their tokens, so a sender that has lost a lane stores nothing.
A crash between two transactions loses nothing: the next holder resumes at `planned_through`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from mailroom.domain.ids import RunId, ScheduleId, Token
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.limits import CHUNK_RECIPIENTS
from mailroom.domain.runs import Run
from mailroom.domain.shares import NO_SHARES, Shares
from mailroom.services.planning.chunk_writes import claimable_since_of, count_planned, store_mails
from mailroom.services.planning.chunks import Cut
from mailroom.services.planning.composing import ChunkComposer
from mailroom.services.planning.progress import SCHEDULES_A_STEP, ChangedSinceRead, Progress, all_or_each
from mailroom.services.planning.small_runs import small_ones
from mailroom.services.planning.turns import Announce, TakeTurn, in_all_lanes
from mailroom.storage import lanes
from mailroom.storage.cluster import restore_mark
from mailroom.storage.cluster.restore_mark import NEVER_RESTORED, Healthy
from mailroom.storage.database import Db, Session, in_transaction
from mailroom.storage.messages import unreached
from mailroom.storage.schedules import run_planning


def expand(
    db: Db,
    held: Mapping[ScheduleId, Token],
    *,
    batch_size: int,
    now: datetime,
    seen: Healthy = NEVER_RESTORED,
    shares: Shares = NO_SHARES,
    composer: ChunkComposer | None = None,
    take_turn: TakeTurn = in_all_lanes,
    last: Collection[RunId] = (),
    announce: Announce = lambda _: None,
) -> Progress:
    """Write the next messages of the held schedules' runs, about a thousand a transaction, and their dispatches, each
    of up to `batch_size` messages. Domains with shares of their own get dispatches of their own.

    `seen`: MongoDB as the caller saw it last. If it was ever restored from an older copy, the calls made since that
    copy are looked up.
    `composer`: one that is used again, so that what the chunks of a run have in common is read once.
    `take_turn`: as for `plan_due`. `last`: runs that come after all others, such as those on hold. `announce`: told of
    what may go now, after each turn.

    A step takes a batch of small runs and a chunk of the large run that is due longest of those that get a turn, so
    that neither waits for the other.
    Raises StoreRestored if MongoDB was restored since it was seen; StaleToken, Unavailable.
    """
    composer, cut = composer or ChunkComposer(db), Cut(batch_size, shares)
    claimable_since: dict[RunId, datetime] = {}  # of the turn under way

    def store(batch: Sequence[Run]) -> None:
        chunks = composer.next_chunks(batch, cut, remembers=seen.remembers)

        def work(session: Session) -> None:
            restore_mark.require_unrestored(db, seen, session)
            tokens = {schedule_lane(c.run.schedule_id): held[c.run.schedule_id] for c in chunks}
            steps = [
                run_planning.Step(c.run, c.through, c.members, c.numbers, c.is_last, counts=c.counts) for c in chunks
            ]
            with lanes.under(db, tokens, session) as guard:
                if not run_planning.advance(db, steps, now=now, guard=guard):
                    raise ChangedSinceRead
                if not all(unreached.take(db, c.missed, c.run.id, session=session) for c in chunks if c.missed):
                    raise ChangedSinceRead
                store_mails(db, chunks, now=now, session=session)

        in_transaction(db, work)
        count_planned(chunks)
        claimable_since.update(claimable_since_of(chunks, now))

    planning_runs = run_planning.in_planning(db, list(held), limit=SCHEDULES_A_STEP)
    progress = Progress()
    planning_runs.sort(key=lambda run: run.id in last)
    if small := small_ones(planning_runs):
        try:
            with take_turn([run.schedule_id for run in small]) as mine:
                progress += all_or_each([(run.schedule_id, run) for run in small if run.schedule_id in mine], store)
        finally:  # what stands may go, whatever became of the others
            announce(claimable_since)
        claimable_since = {}
    for run in (run for run in planning_runs if run.recipients > CHUNK_RECIPIENTS):
        with take_turn([run.schedule_id]) as mine:
            if mine:
                progress += all_or_each([(run.schedule_id, run)], store)
        if mine:
            announce(claimable_since)
            break
    return progress + Progress(left=bool(planning_runs))
