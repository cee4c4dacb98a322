"""Parameters of mongod that matter here. docs/operations.md says what to set, and why."""

import contextlib
from collections.abc import Iterator
from typing import Final

import structlog
from pymongo.errors import OperationFailure, PyMongoError

from mailroom.storage.database import Db, guarded

log = structlog.get_logger()
#: As long as a look for what is due may well pass over what was claimed.
LONG_HISTORY_S: Final = 30
_LIFETIME: Final = "transactionLifetimeLimitSeconds"
_HISTORY: Final = "minSnapshotHistoryWindowInSeconds"


@guarded
def transaction_lifetime_s(db: Db) -> int | None:
    """Seconds for which a transaction of a killed process keeps its locks; None if we lack the permission to ask."""
    return _parameter(db, _LIFETIME)


@guarded
def history_s(db: Db) -> int | None:
    """Seconds for which MongoDB keeps what was: an index scan passes over entries that were removed within them. None
    if we lack the permission to ask."""
    return _parameter(db, _HISTORY)


@contextlib.contextmanager
def history_of(db: Db, seconds: int) -> Iterator[None]:
    """Meanwhile MongoDB keeps what was for at least `seconds`, where we may set that; else for as long as before.

    A process that is killed meanwhile leaves the longer time behind; `mailroom doctor` tells it.
    """
    before = history_s(db)
    raised = before is not None and before < seconds and _set_history(db, seconds)
    try:
        yield
    finally:
        if raised and before is not None:
            _set_history(db, before)


def _parameter(db: Db, name: str) -> int | None:
    try:
        return int(db.client.admin.command({"getParameter": 1, name: 1})[name])
    except OperationFailure:
        return None


def _set_history(db: Db, seconds: int) -> bool:
    """Whether it was done. A role that may not set it, or a server that is away, leaves the time as it is."""
    try:
        db.client.admin.command({"setParameter": 1, _HISTORY: seconds})
    except PyMongoError as error:
        log.warning("history_not_set", seconds=seconds, error=str(error))
        return False
    return True
