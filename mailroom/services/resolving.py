"""A person says what became of a dispatch that nobody else can know of."""

from enum import StrEnum

import structlog

from mailroom.domain.dispatches import DispatchState
from mailroom.domain.errors import DispatchNotUnknown
from mailroom.domain.ids import DispatchId, Lane, RunId
from mailroom.services.recording import finish_runs, tell_these
from mailroom.storage import dispatch_doubts, dispatches, lanes, messages, runs
from mailroom.storage.database import Db, Session, in_transaction, server_now

log = structlog.get_logger()


class Word(StrEnum):
    """What a person can say."""

    WENT_OUT = "went_out"
    SEND_AGAIN = "send_again"


def resolve(db: Db, dispatch: DispatchId, word: Word, *, by: str) -> None:
    """Settle an `unknown` dispatch by a person's word: it went out, or it is to be sent again as a new attempt.

    That it went out may be said of one in doubt as well; to send that again is refused as long as the provider can
    still be asked. What failed may be sent again: it is known not to have gone out. Raises DispatchNotFound,
    DispatchNotUnknown.
    """
    found = dispatches.get(db, dispatch)
    now = server_now(db)

    def work(session: Session) -> bool:
        lanes.collide(db, Lane(found["lane"]), session)
        if word is Word.SEND_AGAIN and messages.any_sent(db, dispatch, session=session):
            return False
        resolved = dispatch_doubts.resolve(
            db, dispatch, found["attempt"], went_out=word is Word.WENT_OUT, by=by, now=now, session=session
        )
        if resolved and word is Word.SEND_AGAIN:
            runs.reopen(db, RunId(found["run_id"]), session=session)
        return resolved

    if not in_transaction(db, work):
        raise DispatchNotUnknown(dispatch, _why_not(db, dispatch))
    log.info("dispatch_resolved", dispatch_id=dispatch, word=word, by=by)
    tell_these(db, [dispatch])
    finish_runs(db, [RunId(found["run_id"])], now=now)


def requeue(db: Db, dispatch: DispatchId, *, by: str) -> None:
    """Have a `failed` dispatch sent again, as a new attempt with all its tries. Raises DispatchNotFound,
    DispatchNotUnknown."""
    state = dispatches.get(db, dispatch)["state"]
    if state != DispatchState.FAILED:
        raise DispatchNotUnknown(dispatch, f"it is {state.replace('_', ' ')}; only what failed can be requeued")
    resolve(db, dispatch, Word.SEND_AGAIN, by=by)


def _why_not(db: Db, dispatch: DispatchId) -> str:
    now_found = dispatches.get(db, dispatch)
    any_sent = messages.any_sent(db, dispatch)
    if now_found["state"] == DispatchState.IN_DOUBT:
        return "it is in doubt, and the provider is still being asked; it can be sent again once it is unknown"
    if any_sent:
        return "the provider has told of mails of it that they went out"
    if carrier := now_found.get("sent_again"):
        return f"mails of it are carried by {carrier}"
    if now_found.get("run_cancelled"):
        return "its run was cancelled"
    return f"it is {now_found['state'].replace('_', ' ')}"
