"""Pause, resume, cancel and archive: runs, and schedules with their runs. Each answer says what still goes.

Each action is one transaction in MongoDB, which claims collide with; then the hold goes to Redis, where crossings heed
it; then the dispatches that had crossed before are looked up: only their calls still go. Used by the API, the pages and
the commands.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.errors import RunEnded, RunNotPaused, RunPaused
from mailroom.domain.holds import FOR_GOOD, Hold
from mailroom.domain.ids import RunId, ScheduleId
from mailroom.domain.lane_names import schedule_lane
from mailroom.domain.runs import OPEN, Run, RunState
from mailroom.domain.schedules import Schedule
from mailroom.domain.words import counted
from mailroom.services.common.calls_under_way import ANY_REDIS, WHY_NOT_SURE, called_among
from mailroom.services.common.hold_mirror import agree, agree_on_runs, mirror_or_say
from mailroom.services.dispatching import cancel as cancel_runs
from mailroom.services.schedules import lifecycle as schedule_lifecycle
from mailroom.storage import holds, lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import counts as dispatch_counts
from mailroom.storage.dispatches.counts import InHand
from mailroom.storage.schedules import open_runs, run_moves, runs

__all__ = ["InHand"]  # for those who show a Toll


@dataclass(frozen=True, slots=True)
class Brakes:
    """The Redis side of a hold: the mirror of holds, and the fences that heed it."""

    mirror: Holds
    fences: Fences


@dataclass(frozen=True, slots=True)
class Toll:
    """The mails of some runs by the state of their dispatches, and the calls under way. `in_doubt` includes `unknown`.

    Not `sure`: some of `in_flight` may not be called, because Redis does not answer, or has failed over. Not `whole`:
    a run is still being planned of which nobody knows yet how many it goes to; mails that are not planned are in no
    number here.
    """

    runs: tuple[RunId, ...]
    sent: int
    held: int
    cancelled: int
    in_doubt: int
    in_flight: tuple[InHand, ...]
    sure: bool = True
    whole: bool = True

    @property
    def mails_in_flight(self) -> int:
        return sum(call.messages for call in self.in_flight)


def pause_run(db: Db, brakes: Brakes, run_id: RunId, *, by: str) -> tuple[Run, Toll]:
    """Call nothing more of this run until it is resumed. It is planned to its end, and its doubts are settled.

    Raises RunNotFound, RunEnded, RunPaused.
    """
    run = runs.get(db, run_id)
    agree_on_runs(db, brakes.mirror, [run_id])  # else Redis may know a later number than an older copy comes to
    now = server_now(db)

    def work(session: Session) -> bool:
        if run_id not in open_runs.open_of(db, [run.schedule_id], session=session):
            return False
        lanes.collide(db, [schedule_lane(run.schedule_id)], session)
        if holds.held_among(db, [run_id], session=session):
            raise RunPaused(f"run {run_id} is paused already")
        held = {run_id: run.schedule_id}
        holds.put_on_runs(db, held, with_schedule=False, by=by, now=now, session=session)
        run_moves.mark_paused(db, [run_id], by=by, now=now, session=session)
        return True

    if not in_transaction(db, work):
        raise _ended(db, run_id)
    return runs.get(db, run_id), mirror_and_count(db, brakes, [run_id])


def resume_run(db: Db, brakes: Brakes, run_id: RunId, *, by: str) -> tuple[Run, Toll]:
    """Go on with this run. Raises RunNotFound, RunEnded, RunNotPaused."""
    run = runs.get(db, run_id)
    if run.state not in OPEN:
        raise _ended(db, run_id)
    agree(db, brakes.mirror, run_id, of=run.schedule_id)
    now = server_now(db)

    def work(session: Session) -> bool:
        was_held = bool(holds.held_among(db, [run_id], session=session))
        holds.lift_from_runs(db, [run_id], by=by, now=now, session=session)
        run_moves.mark_resumed(db, [run_id], session=session)
        return was_held

    if not in_transaction(db, work):
        raise RunNotPaused(f"run {run_id} is not paused")
    return runs.get(db, run_id), mirror_and_count(db, brakes, [run_id])


def cancel_run(db: Db, brakes: Brakes, run_id: RunId) -> tuple[Run, Toll]:
    """Send nothing more of this run. Raises RunNotFound, RunEnded."""
    run = cancel_runs.cancel(db, run_id)
    return run, _cancelled(db, brakes, [run_id])


def pause_schedule(
    db: Db, brakes: Brakes, schedule_id: ScheduleId, *, by: str, seen_version: int | None = None
) -> tuple[Schedule, Toll]:
    """Until it is resumed, no instant from now on runs, and nothing more of its open runs is called.

    Raises ScheduleNotFound, ScheduleNotActive, StaleEdit.
    """
    agree_on_runs(db, brakes.mirror, list(open_runs.open_of(db, [schedule_id])))
    schedule = schedule_lifecycle.pause(db, schedule_id, by=by, seen_version=seen_version)
    return schedule, mirror_and_count(db, brakes, list(open_runs.open_of(db, [schedule_id])))


def resume_schedule(
    db: Db, brakes: Brakes, schedule_id: ScheduleId, *, by: str, seen_version: int | None = None
) -> tuple[Schedule, Toll]:
    """Go on from now, and with the runs that were paused with it. A run that was paused by itself stays paused.

    Raises ScheduleNotFound, ScheduleNotPaused, RuleNotComputable, StaleEdit.
    """
    agree_on_runs(db, brakes.mirror, list(open_runs.open_of(db, [schedule_id])))
    schedule = schedule_lifecycle.resume(db, schedule_id, by=by, seen_version=seen_version)
    return schedule, mirror_and_count(db, brakes, list(open_runs.open_of(db, [schedule_id])))


def archive(
    db: Db, brakes: Brakes, schedule_id: ScheduleId, *, seen_version: int | None = None
) -> tuple[Schedule, Toll]:
    """Put a schedule away: it plans nothing any more. Mails of its open runs that have not gone out are cancelled.

    Raises ScheduleNotFound, StaleEdit.
    """
    open_before = list(open_runs.open_of(db, [schedule_id]))
    schedule = schedule_lifecycle.archive(db, schedule_id, seen_version=seen_version)
    return schedule, _cancelled(db, brakes, open_before)


def toll(db: Db, fences: Fences, run_ids: Sequence[RunId], *, held_in: str | None = ANY_REDIS) -> Toll:
    """Count the mails of these runs. `held_in`: the identity of the Redis that has their holds; None if none is known
    to have them. Raises Unavailable if MongoDB is away."""
    mails, in_hand = dispatch_counts.mails_by_state(db, run_ids)
    called = called_among(fences, in_hand, held_in=held_in)
    found = [runs.get(db, run_id) for run_id in run_ids]
    unplanned = {
        state: sum(_unplanned(run) for run in found if (run.state in OPEN) is state) for state in (True, False)
    }
    accepted = sum(one.messages for one in called.accepted)
    waiting = sum(one.messages for one in in_hand) - accepted - sum(one.messages for one in called.in_flight)
    cancelled = mails.get(DispatchState.CANCELLED, 0) + unplanned[False]
    # A dispatch that was claimed and not called goes back to wait; of a cancelled run it ends as cancelled.
    if any(run.state is RunState.CANCELLED for run in found):
        cancelled, waiting = cancelled + waiting, 0
    return Toll(
        tuple(run_ids),
        sent=mails.get(DispatchState.ACCEPTED, 0) + accepted,
        held=mails.get(DispatchState.PENDING, 0) + waiting + unplanned[True],
        cancelled=cancelled,
        in_doubt=mails.get(DispatchState.IN_DOUBT, 0) + mails.get(DispatchState.UNKNOWN, 0),
        in_flight=called.in_flight,
        sure=called.sure,
        whole=not any(run.is_composed and _is_planning(run) for run in found),
    )


def _is_planning(run: Run) -> bool:
    """True while recipients have no message yet."""
    return run.state is RunState.PLANNING or run.unwritten


def _unplanned(run: Run) -> int:
    """How many recipients have no message yet, where that is known; else 0."""
    return run.recipients - run.placed if _is_planning(run) and not run.is_composed else 0


def mirror_and_count(db: Db, brakes: Brakes, run_ids: Sequence[RunId]) -> Toll:
    """Mirror the holds of these runs, put or lifted, to Redis; then count."""
    changed = [hold for run_id in run_ids if (hold := holds.get(db, run_id)).number]
    return toll(db, brakes.fences, run_ids, held_in=_mirror_all(brakes.mirror, changed))


def _cancelled(db: Db, brakes: Brakes, run_ids: Sequence[RunId]) -> Toll:
    """Hold these runs for good in Redis; then count."""
    now = server_now(db)
    # A run that was cancelled before, in a MongoDB that was put back since, has a number beyond that already.
    numbers = {run_id: max(FOR_GOOD, holds.get(db, run_id).number | 1) for run_id in run_ids}
    held = [Hold(id_, number, "cancelled", now) for id_, number in numbers.items()]
    return toll(db, brakes.fences, run_ids, held_in=_mirror_all(brakes.mirror, held))


def _mirror_all(mirror: Holds, changed: Sequence[Hold]) -> str | None:
    """The identity of the Redis that has all of these holds; None if none is known to have them all."""
    identities = {mirror_or_say(mirror, hold) for hold in changed} or {ANY_REDIS}
    return identities.pop() if len(identities) == 1 else None


def _ended(db: Db, run_id: RunId) -> RunEnded:
    return RunEnded(f"run {run_id} is {runs.get(db, run_id).state} already")


def in_words(toll: Toll) -> str:
    """For pages and commands: how many emails went, wait or are cancelled, and which still go. '' without a run."""
    if not toll.runs:
        return ""
    counts = [(toll.sent, "sent"), (toll.held, "waiting"), (toll.cancelled, "cancelled"), (toll.in_doubt, "in doubt")]
    said = ", ".join(f"{counted(count, 'email')} {what}" for count, what in counts if count or what == "sent")
    said += "" if toll.whole else ", and those that are not planned yet"
    if not toll.in_flight:
        return f"{said}; no request is in flight."
    requests = counted(len(toll.in_flight), "request")
    if not toll.sure:
        return f"{said}; up to {requests} may still go ({counted(toll.mails_in_flight, 'email')}): {WHY_NOT_SURE}."
    go = "goes" if len(toll.in_flight) == 1 else "go"
    return f"{said}; {requests} in flight still {go}: {counted(toll.mails_in_flight, 'email')}."
