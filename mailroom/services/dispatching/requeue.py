"""Requeue dead letters, and send unknown dispatches again: each gets a new attempt with all its tries."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.emails.model import OnDoubt
from mailroom.domain.errors import DispatchNotFound, DispatchNotUnknown
from mailroom.domain.ids import DispatchId, EmailId, RunId, ScheduleId, elsewhere_dispatch_id
from mailroom.services.dispatching.propagation import propagate_states
from mailroom.storage import holds, lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.dispatches import elsewhere as dispatch_elsewhere
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.dispatches.doubts import CALLED_FOR_GOOD
from mailroom.storage.dispatches.elsewhere import Departure
from mailroom.storage.mails import bodies
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import run_moves, schedules

log = structlog.get_logger()


def requeue_failed(db: Db, ids: Sequence[DispatchId], *, by: str) -> dict[DispatchId, str]:
    """Retry these `failed` dispatches, a few hundred at most, in one transaction: each gets a new attempt with all its
    tries. Returns the reason for each dispatch that cannot be retried; it does not stop the others."""
    as_read = dispatch_queries.get_many(db, ids)
    failed = {id_: dispatch for id_, dispatch in as_read.items() if dispatch.state is DispatchState.FAILED}
    retried = send_again(db, failed, by=by) if failed else set()
    return {id_: _why_not_requeued(db, id_, as_read.get(id_)) for id_ in ids if id_ not in retried}


def send_again(db: Db, as_read: Mapping[DispatchId, Dispatch], *, by: str) -> set[DispatchId]:
    """Retry the dispatches without a mail known to have gone out, and reopen their runs. Returns the retried ones."""
    now = server_now(db)

    def work(session: Session) -> set[DispatchId]:
        lanes.collide(db, {dispatch.lane for dispatch in as_read.values()}, session)
        sent = messages.with_any_sent(db, list(as_read), session=session)
        gone = _without_content(db, as_read, session)
        unsent = {id_: dispatch for id_, dispatch in as_read.items() if id_ not in sent | gone}
        leaving = {id_ for id_, dispatch in unsent.items() if _goes_on_elsewhere(dispatch)}
        staying = {id_: dispatch for id_, dispatch in unsent.items() if id_ not in leaving}
        retried = dispatch_doubts.send_again(db, staying, by=by, now=now, session=session)
        for id_ in leaving:
            departure = Departure(id_, unsent[id_].attempt)
            if dispatch_elsewhere.carry_on_by_person(db, departure, by=by, now=now, session=session):
                retried.add(id_)
        reopened = {as_read[id_].run_id: as_read[id_].schedule_id for id_ in retried}
        run_moves.reopen(db, reopened, session=session)
        _hold_with_their_schedules(db, reopened, by, now, session)
        return retried

    retried = in_transaction(db, work)
    for id_ in sorted(retried):
        log.info("dispatch_resolved", dispatch_id=id_, word="send_again", by=by)
    propagate_states(db, sorted([*retried, *map(elsewhere_dispatch_id, retried)]))
    return retried


def _without_content(db: Db, as_read: Mapping[DispatchId, Dispatch], session: Session) -> set[DispatchId]:
    """The dispatches of single mails whose content is not kept any more: they could not be built."""
    mails = {id_: EmailId(dispatch.run_id) for id_, dispatch in as_read.items() if dispatch.schedule_id is None}
    kept = bodies.kept_among(db, {*mails.values()}, session=session) if mails else set()
    return {id_ for id_, mail in mails.items() if mail not in kept}


def _goes_on_elsewhere(dispatch: Dispatch) -> bool:
    """True if the mail's new attempt is made by its dispatch elsewhere (see domain/dispatches/elsewhere.py)."""
    return dispatch.on_doubt is OnDoubt.ELSEWHERE and dispatch.state is DispatchState.UNKNOWN


def _hold_with_their_schedules(
    db: Db, reopened: Mapping[RunId, ScheduleId | None], by: str, now: datetime, session: Session
) -> None:
    """Hold the reopened runs of paused schedules: such a schedule sends nothing until it is resumed, retries
    included."""
    named = {schedule for schedule in reopened.values() if schedule}
    paused = schedules.paused_among(db, named, session=session) if named else set()
    held = {run: schedule for run, schedule in reopened.items() if schedule and schedule in paused}
    if held:
        holds.put_on_runs(db, held, with_schedule=True, by=by, now=now, session=session)
        run_moves.mark_paused(db, held, by=by, now=now, session=session)


def _why_not_requeued(db: Db, dispatch: DispatchId, as_read: Dispatch | None) -> str:
    if as_read is None:
        return str(DispatchNotFound(dispatch))
    if as_read.state is not DispatchState.FAILED:
        state = as_read.state.replace("_", " ")
        return str(DispatchNotUnknown(dispatch, f"it is {state}; only what failed can be requeued"))
    return str(DispatchNotUnknown(dispatch, why_not(db, dispatch)))


def why_not(db: Db, dispatch: DispatchId) -> str:
    current = dispatch_queries.get(db, dispatch)
    any_sent = messages.with_any_sent(db, [dispatch])
    kept = current.schedule_id or bodies.kept_among(db, [EmailId(current.run_id)])
    if current.state is DispatchState.IN_DOUBT:
        return "it is in doubt, and the provider is still being asked; it can be sent again once it is unknown"
    if current.final:
        return f"{CALLED_FOR_GOOD}: it is never called again; whom it did not reach can be mailed by their run"
    if any_sent:
        return "the provider has told of mails of it that they went out"
    if current.elsewhere:
        return f"its mail went elsewhere: {current.elsewhere} carries it on"
    if current.sent_again:
        return f"mails of it are carried by {current.sent_again}"
    if current.run_cancelled:
        return "its run was cancelled"
    if not kept:
        return "its content is no longer kept"
    return f"it is {current.state.replace('_', ' ')}"
