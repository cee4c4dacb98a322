"""Dead letters: dispatches that failed for good, each with its reason. Looked at, sent again, or dropped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from mailroom.domain.errors import Conflict, NotFound
from mailroom.domain.ids import DispatchId, RunId
from mailroom.services import resolving
from mailroom.storage import dead_letters
from mailroom.storage.database import Db, server_now
from mailroom.storage.dead_letters import Filter

log = structlog.get_logger()
_A_STEP: Final = 200


@dataclass(frozen=True, slots=True)
class Done:
    """How many were done, and why the others were not, by id."""

    done: int
    refused: Mapping[DispatchId, str]


def page(db: Db, wanted: Filter, *, after: str, limit: int) -> list[Mapping[str, Any]]:
    """Dead letters in the order of their ids."""
    return dead_letters.page(db, wanted, after=after, limit=limit)


Chosen = Sequence[DispatchId] | Filter  # these, or all of a filter


def requeue(db: Db, chosen: Chosen, *, by: str) -> Done:
    """Send these again, each as a new attempt with all its tries; what one is refused concerns no other."""
    asked, refused = 0, dict[DispatchId, str]()
    for ids in _steps(db, chosen):
        asked += len(ids)
        for id_ in ids:
            try:
                resolving.requeue(db, id_, by=by)
            except (Conflict, NotFound) as error:
                refused[id_] = str(error)
    return Done(asked - len(refused), refused)


def drop(db: Db, chosen: Chosen, *, by: str) -> int:
    """Take these off the list: they stay failed, and are not shown here any more. Returns how many."""
    dropped = sum(dead_letters.drop(db, ids, by=by, now=server_now(db)) for ids in _steps(db, chosen))
    log.info("dead_letters_dropped", count=dropped, by=by)
    return dropped


def _steps(db: Db, chosen: Chosen) -> Iterator[Sequence[DispatchId]]:
    if not isinstance(chosen, Filter):
        yield chosen
        return
    after = ""
    while some := dead_letters.page(db, chosen, after=after, limit=_A_STEP):
        after = some[-1]["_id"]
        yield [DispatchId(doc["_id"]) for doc in some]


def filter_of(*, run_id: str | None = None, single: bool | None = None, code: int | None = None) -> Filter:
    """What is looked for; None is anything."""
    return Filter(RunId(run_id) if run_id else None, single, code)
