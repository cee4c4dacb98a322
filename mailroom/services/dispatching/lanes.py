"""Find lanes with work, and take them: 'taking a lane' of the protocol, in bulk."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailroom.coordination.fences import Fences
from mailroom.coordination.leases import Leases
from mailroom.domain.ids import Lane, RunId, Token, make_token
from mailroom.domain.lane_names import schedule_lane
from mailroom.storage import holds, lanes
from mailroom.storage.cluster import etcd_epoch
from mailroom.storage.database import Db
from mailroom.storage.dispatches import any_work
from mailroom.storage.dispatches import claims as dispatch_claims
from mailroom.storage.holds import OnHold
from mailroom.storage.schedules import awaited_feeds, due_schedules, open_runs, run_planning


@dataclass(frozen=True, slots=True)
class LaneWork:
    """The context of a sender's work in its held lanes: the stores, the lanes with their tokens, the sender's name."""

    db: Db
    fences: Fences
    held: Mapping[Lane, Token]
    sender: str


def lanes_wanting_work(db: Db, *, now: datetime, ahead: timedelta, limit: int, leave_out: Sequence[Lane]) -> list[Lane]:
    """Lanes with work that are not in `leave_out`, about `limit` of each kind of work: a schedule due within `ahead`, a
    run in planning or a feed to be fetched, a dispatch to be sent, reconciled or judged. Lanes that wait are left out.
    Raises Unavailable.

    Held runs are not sent; their lanes are returned only for other work.
    """
    left_out, held = {*leave_out, *lanes.waiting(db, now=now)}, holds.standing(db)
    enough = limit + len(left_out)
    due = (
        [] if held.everything else [schedule_lane(id_) for id_ in due_schedules.due(db, now=now + ahead, limit=enough)]
    )
    unfinished = [schedule_lane(id_) for id_ in run_planning.schedules_in_planning(db, limit=enough)]
    if not held.everything:
        waiting = awaited_feeds.schedules_awaiting_feeds(db, now=now, limit=enough, but=held.runs)
        unfinished += map(schedule_lane, waiting)
    sending = _lanes_with_work(db, held, now=now, limit=enough, leave_out=left_out)
    return [lane for lane in dict.fromkeys([*due, *unfinished, *sending]) if lane not in left_out]


def may_want_work(db: Db, *, now: datetime, ahead: timedelta, leave_out: Collection[Lane]) -> bool:
    """Whether `lanes_wanting_work` may find a lane. False is certain. True is not: the work may wait, be on hold, or be
    in another sender's lane. One query. Raises Unavailable."""
    return any_work.is_there_any(db, now=now, due_by=now + ahead, leave_out=leave_out)


def may_want_work_until(db: Db, until: datetime, *, ahead: timedelta) -> bool:
    """Whether a lane, held or not, may want work before `until`. False is certain unless work changes meanwhile, and
    `storage/changes.py` shows such changes. One query. Raises Unavailable."""
    return any_work.is_any_coming(db, until=until, due_by=until + ahead)


def _lanes_with_work(db: Db, held: OnHold, *, now: datetime, limit: int, leave_out: Collection[Lane]) -> Sequence[Lane]:
    if held.everything:
        return dispatch_claims.lanes_to_reconcile(db, now=now, limit=limit, leave_out=sorted(leave_out))
    mixed = held.lanes
    working = dispatch_claims.lanes_with_work(db, now=now, limit=limit, leave_out=sorted({*leave_out, *mixed}))
    if mixed:
        working += dispatch_claims.lanes_to_reconcile(db, now=now, limit=limit, among=sorted(mixed))
        working += dispatch_claims.lanes_of_waiting_runs(db, open_runs_not_held(db, held, mixed), now=now, limit=limit)
    return working


def open_runs_not_held(db: Db, held: OnHold, mixed: Collection[Lane]) -> list[RunId]:
    """The open runs of these lanes that are not held."""
    named = {schedule for schedule in held.runs.values() if schedule_lane(schedule) in mixed}
    return [run for run in open_runs.open_of(db, named) if run not in held.runs] if named else []


def take_lanes(
    db: Db, leases: Leases, fences: Fences, wanted: Sequence[Lane], *, sender: str, now: datetime
) -> tuple[dict[Lane, Token], str]:
    """Take the free ones of these lanes: the key in etcd first, then the token into MongoDB, then into Redis.

    Returns (the lanes that are ours in all three, with their tokens; Redis' identity). A lane that any store refused is
    released at once. Raises Unavailable: none of the lanes may be used then.
    """
    if not wanted:
        return {}, ""
    recalled = etcd_epoch.recall(db)
    taken = leases.take(wanted)
    if not taken.revisions:
        return {}, ""
    epoch = etcd_epoch.epoch_for(db, recalled, cluster_id=taken.cluster_id, revision=taken.revision)
    tokens = {lane: make_token(epoch, revision) for lane, revision in taken.revisions.items()}
    stored = lanes.raise_tokens(db, tokens, sender, now=now)
    entered, redis_identity = fences.enter({lane: token for lane, token in tokens.items() if lane in stored})
    leases.release({lane: revision for lane, revision in taken.revisions.items() if lane not in entered})
    return {lane: token for lane, token in tokens.items() if lane in entered}, redis_identity
