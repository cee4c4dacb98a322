"""Dead letters, which are dispatches that failed permanently: view, requeue and drop them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from mailroom.domain.dispatches.model import Dispatch
from mailroom.domain.errors import ScopeMissing
from mailroom.domain.ids import DispatchId
from mailroom.domain.principals import Principal, scope_of
from mailroom.domain.searches import DeadLetterSearch
from mailroom.services.dispatching.requeue import requeue_failed
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import dead_letters

log = structlog.get_logger()
_A_STEP: Final = 200


@dataclass(frozen=True, slots=True)
class Done:
    """The number of requeued dispatches, and the reason for each refused one, by id."""

    done: int
    refused: Mapping[DispatchId, str]


def page(db: Db, wanted: DeadLetterSearch, *, after: str, limit: int) -> list[Dispatch]:
    """Dead letters in the order of their ids, after the id `after`."""
    return dead_letters.page(db, wanted, after=after, limit=limit)


Chosen = Sequence[DispatchId] | DeadLetterSearch  # dispatches by id, or all that match a search


def within_reach(chosen: Chosen, actor: Principal) -> tuple[Chosen, dict[DispatchId, str]]:
    """Returns (the dispatches that the actor may decide about, the reason for each other dispatch chosen by its id).

    Raises ScopeMissing if the actor may decide about none of them.
    """
    if isinstance(chosen, DeadLetterSearch):
        return _narrowed(chosen, actor), {}
    missing = {id_: ScopeMissing(scope) for id_ in chosen if not actor.may(scope := scope_of(id_))}
    if missing and len(missing) == len(set(chosen)):
        raise next(iter(missing.values()))
    return [id_ for id_ in chosen if id_ not in missing], {id_: str(error) for id_, error in missing.items()}


def _narrowed(wanted: DeadLetterSearch, actor: Principal) -> DeadLetterSearch:
    if wanted.run_id is not None:
        actor.require(scope_of(DispatchId(wanted.run_id)))
    if wanted.single is not None:
        actor.require("mail" if wanted.single else "schedules")
    actor.require("mail", "schedules")
    if wanted.single is not None or (actor.may("mail") and actor.may("schedules")):
        return wanted
    return replace(wanted, single=actor.may("mail"))


def requeue(db: Db, chosen: Chosen, *, by: str, advance: Callable[[int], None] = lambda _: None) -> Done:
    """Retry these dispatches, each with a new attempt and all its tries. A refused dispatch does not stop the
    others. `advance` is called with the number of each batch."""
    count, refused = 0, dict[DispatchId, str]()
    for ids in _steps(db, chosen):
        count += len(ids)
        refused |= requeue_failed(db, ids, by=by)
        advance(len(ids))
    return Done(count - len(refused), refused)


def drop(db: Db, chosen: Chosen, *, by: str, advance: Callable[[int], None] = lambda _: None) -> int:
    """Drop these from the list: they stay failed, and are no longer shown as dead letters. Returns how many. `advance`
    is called with the number of each batch."""
    dropped = 0
    for ids in _steps(db, chosen):
        dropped += dead_letters.drop(db, ids, by=by, now=server_now(db))
        advance(len(ids))
    log.info("dead_letters_dropped", count=dropped, by=by)
    return dropped


def _steps(db: Db, chosen: Chosen) -> Iterator[Sequence[DispatchId]]:
    if not isinstance(chosen, DeadLetterSearch):
        yield from (chosen[start : start + _A_STEP] for start in range(0, len(chosen), _A_STEP))
        return
    after = ""
    while step := dead_letters.page(db, chosen, after=after, limit=_A_STEP):
        after = step[-1].id
        yield [dispatch.id for dispatch in step]
