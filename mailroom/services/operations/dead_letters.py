"""Dead letters: dispatches that failed for good, each with its reason. Looked at, sent again, or dropped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from mailroom.domain.errors import ScopeMissing
from mailroom.domain.ids import DispatchId
from mailroom.domain.principals import Principal, scope_of
from mailroom.domain.searches import DeadLetterSearch
from mailroom.services.reconciliation import resolve
from mailroom.storage.database import Db, server_now
from mailroom.storage.dispatches import dead_letters

log = structlog.get_logger()
_A_STEP: Final = 200


@dataclass(frozen=True, slots=True)
class Done:
    """How many were done, and why the others were not, by id."""

    done: int
    refused: Mapping[DispatchId, str]


def page(db: Db, wanted: DeadLetterSearch, *, after: str, limit: int) -> list[Mapping[str, Any]]:
    """Dead letters in the order of their ids."""
    return dead_letters.page(db, wanted, after=after, limit=limit)


Chosen = Sequence[DispatchId] | DeadLetterSearch  # these, or all of a filter


def within_reach(chosen: Chosen, who: Principal) -> tuple[Chosen, dict[DispatchId, str]]:
    """Returns (those that this token may decide about, the reason for each other that was named by its id).

    Raises ScopeMissing if the token may decide about none of them.
    """
    if isinstance(chosen, DeadLetterSearch):
        return _narrowed(chosen, who), {}
    missing = {id_: ScopeMissing(scope) for id_ in chosen if not who.may(scope := scope_of(id_))}
    if missing and len(missing) == len(set(chosen)):
        raise next(iter(missing.values()))
    return [id_ for id_ in chosen if id_ not in missing], {id_: str(error) for id_, error in missing.items()}


def _narrowed(wanted: DeadLetterSearch, who: Principal) -> DeadLetterSearch:
    if wanted.run_id is not None:
        who.require(scope_of(DispatchId(wanted.run_id)))
    if wanted.single is not None:
        who.require("mail" if wanted.single else "schedules")
    who.require("mail", "schedules")
    if wanted.single is not None or (who.may("mail") and who.may("schedules")):
        return wanted
    return replace(wanted, single=who.may("mail"))


def requeue(db: Db, chosen: Chosen, *, by: str) -> Done:
    """Send these again, each as a new attempt with all its tries; what one is refused concerns no other."""
    asked, refused = 0, dict[DispatchId, str]()
    for ids in _steps(db, chosen):
        asked += len(ids)
        refused |= resolve.requeue(db, ids, by=by)
    return Done(asked - len(refused), refused)


def drop(db: Db, chosen: Chosen, *, by: str) -> int:
    """Take these off the list: they stay failed, and are not shown here any more. Returns how many."""
    dropped = sum(dead_letters.drop(db, ids, by=by, now=server_now(db)) for ids in _steps(db, chosen))
    log.info("dead_letters_dropped", count=dropped, by=by)
    return dropped


def _steps(db: Db, chosen: Chosen) -> Iterator[Sequence[DispatchId]]:
    if not isinstance(chosen, DeadLetterSearch):
        yield from (chosen[start : start + _A_STEP] for start in range(0, len(chosen), _A_STEP))
        return
    after = ""
    while some := dead_letters.page(db, chosen, after=after, limit=_A_STEP):
        after = some[-1]["_id"]
        yield [DispatchId(doc["_id"]) for doc in some]
