"""Dead letters: dispatches that failed for good, each with its reason. Looked at, sent again, or dropped."""

from collections.abc import Mapping, Sequence
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


def requeue(db: Db, ids: Sequence[DispatchId], *, by: str) -> Done:
    """Send these again, each as a new attempt with all its tries; what one is refused concerns no other."""
    refused: dict[DispatchId, str] = {}
    for id_ in ids:
        try:
            resolving.requeue(db, id_, by=by)
        except (Conflict, NotFound) as error:
            refused[id_] = str(error)
    return Done(len(ids) - len(refused), refused)


def requeue_all(db: Db, wanted: Filter, *, by: str) -> Done:
    """Send all of a filter again."""
    done, after = 0, ""
    refused: dict[DispatchId, str] = {}
    while some := dead_letters.page(db, wanted, after=after, limit=_A_STEP):
        step = requeue(db, [DispatchId(doc["_id"]) for doc in some], by=by)
        done, after = done + step.done, some[-1]["_id"]
        refused |= step.refused
    return Done(done, refused)


def drop(db: Db, ids: Sequence[DispatchId], *, by: str) -> int:
    """Take these off the list: they stay failed, and are not shown here any more. Returns how many."""
    dropped = dead_letters.drop(db, ids, by=by, now=server_now(db))
    log.info("dead_letters_dropped", count=dropped, by=by)
    return dropped


def drop_all(db: Db, wanted: Filter, *, by: str) -> int:
    dropped = 0
    while some := dead_letters.page(db, wanted, after="", limit=_A_STEP):
        dropped += drop(db, [DispatchId(doc["_id"]) for doc in some], by=by)
    return dropped


def filter_of(*, run_id: str | None = None, single: bool | None = None, code: int | None = None) -> Filter:
    """What is looked for; None is anything."""
    return Filter(RunId(run_id) if run_id else None, single, code)
