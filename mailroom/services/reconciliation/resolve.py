"""A person says what became of a dispatch that nobody else can know of, or has what failed sent again."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.errors import DispatchNotFound, DispatchNotUnknown
from mailroom.domain.ids import DispatchId, Lane, RunId, ScheduleId
from mailroom.services.dispatching.propagation import finish_runs, propagate_states
from mailroom.storage import holds, lanes
from mailroom.storage.database import Db, Session, in_transaction, server_now
from mailroom.storage.dispatches import doubts as dispatch_doubts
from mailroom.storage.dispatches import queries as dispatch_queries
from mailroom.storage.dispatches.doubts import CALLED_FOR_GOOD
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import runs, schedules

log = structlog.get_logger()


class Resolution(StrEnum):
    """What a person can say."""

    WENT_OUT = "went_out"
    SEND_AGAIN = "send_again"


def resolve(db: Db, dispatch: DispatchId, word: Resolution, *, by: str, attempt: int | None = None) -> None:
    """Settle an `unknown` dispatch by a person's word: it went out, or it is to be sent again as a new attempt.

    That it went out may be said of one in doubt as well; to send that again is refused as long as the provider can
    still be asked. What failed may be sent again: it is known not to have gone out. With `attempt`, the word is about
    that one, and about none that came after. Raises DispatchNotFound, DispatchNotUnknown.
    """
    found = dispatch_queries.get(db, dispatch)
    if attempt is not None and found["attempt"] != attempt:
        raise DispatchNotUnknown(dispatch, f"it has come to attempt {found['attempt']} since")
    if not (_went_out(db, found, by) if word is Resolution.WENT_OUT else _send_again(db, {dispatch: found}, by)):
        raise DispatchNotUnknown(dispatch, _why_not(db, dispatch))


def requeue(db: Db, ids: Sequence[DispatchId], *, by: str) -> dict[DispatchId, str]:
    """Have these `failed` dispatches, a few hundred at most, sent again in one transaction: each as a new attempt with
    all its tries. Returns those that cannot be, and why; they hold up no other."""
    found = dispatch_queries.standing(db, ids)
    failed = {id_: doc for id_, doc in found.items() if doc["state"] == DispatchState.FAILED}
    again = _send_again(db, failed, by) if failed else set()
    return {id_: _why_not_requeued(db, id_, found.get(id_)) for id_ in ids if id_ not in again}


def _went_out(db: Db, found: Mapping[str, Any], by: str) -> bool:
    dispatch, now = DispatchId(found["_id"]), server_now(db)

    def work(session: Session) -> bool:
        lanes.collide(db, [Lane(found["lane"])], session)
        return dispatch_doubts.went_out(db, dispatch, found["attempt"], by=by, now=now, session=session)

    if not in_transaction(db, work):
        return False
    log.info("dispatch_resolved", dispatch_id=dispatch, word=Resolution.WENT_OUT, by=by)
    propagate_states(db, [dispatch])
    finish_runs(db, [RunId(found["run_id"])], now=now)
    return True


def _send_again(db: Db, found: Mapping[DispatchId, Mapping[str, Any]], by: str) -> set[DispatchId]:
    """Those that are to be sent again, of which nothing is known to have gone out; their runs are open again."""
    now = server_now(db)

    def work(session: Session) -> set[DispatchId]:
        lanes.collide(db, {Lane(doc["lane"]) for doc in found.values()}, session)
        sent = messages.with_any_sent(db, list(found), session=session)
        unsent = {id_: doc for id_, doc in found.items() if id_ not in sent}
        again = dispatch_doubts.send_again(db, unsent, by=by, now=now, session=session)
        reopened = {RunId(found[id_]["run_id"]): found[id_].get("schedule_id") for id_ in again}
        runs.reopen(db, reopened, session=session)
        _hold_with_their_schedules(db, reopened, by, now, session)
        return again

    again = in_transaction(db, work)
    for id_ in sorted(again):
        log.info("dispatch_resolved", dispatch_id=id_, word=Resolution.SEND_AGAIN, by=by)
    propagate_states(db, sorted(again))
    return again


def _hold_with_their_schedules(
    db: Db, reopened: Mapping[RunId, str | None], by: str, now: datetime, session: Session
) -> None:
    """A paused schedule sends nothing more until it is resumed, what a person has sent again included."""
    named = {ScheduleId(id_) for id_ in reopened.values() if id_}
    paused = schedules.paused_among(db, named, session=session) if named else set()
    held = {run: ScheduleId(id_) for run, id_ in reopened.items() if id_ and ScheduleId(id_) in paused}
    if held:
        holds.put_on_runs(db, held, with_schedule=True, by=by, now=now, session=session)
        runs.mark_paused(db, held, by=by, now=now, session=session)


def _why_not_requeued(db: Db, dispatch: DispatchId, found: Mapping[str, Any] | None) -> str:
    if found is None:
        return str(DispatchNotFound(dispatch))
    if found["state"] != DispatchState.FAILED:
        state = found["state"].replace("_", " ")
        return str(DispatchNotUnknown(dispatch, f"it is {state}; only what failed can be requeued"))
    return str(DispatchNotUnknown(dispatch, _why_not(db, dispatch)))


def _why_not(db: Db, dispatch: DispatchId) -> str:
    now_found = dispatch_queries.get(db, dispatch)
    any_sent = messages.with_any_sent(db, [dispatch])
    if now_found["state"] == DispatchState.IN_DOUBT:
        return "it is in doubt, and the provider is still being asked; it can be sent again once it is unknown"
    if now_found.get("final"):
        return f"{CALLED_FOR_GOOD}: it is never called again; whom it did not reach can be mailed by their run"
    if any_sent:
        return "the provider has told of mails of it that they went out"
    if carrier := now_found.get("sent_again"):
        return f"mails of it are carried by {carrier}"
    if now_found.get("run_cancelled"):
        return "its run was cancelled"
    return f"it is {now_found['state'].replace('_', ' ')}"
