"""The connection, what every write and read can count on, and the indexes.

Writes are acknowledged by a journaled majority, reads see what a majority has. An answer that does not come within
its time raises Unavailable (see `guarded`), and the driver repeats a write only under its own once-only numbers.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, ParamSpec, TypeVar

import pymongo
from bson.codec_options import CodecOptions
from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from mailroom.domain.errors import TakesNoWrites, Unavailable

Document = dict[str, Any]
Db = Database[Document]
Session = ClientSession
P = ParamSpec("P")
R = TypeVar("R")

MAJORITY: Final = WriteConcern(w="majority", j=True)
_DUPLICATE_KEY: Final = 11000
_LIFETIME: Final = "transactionLifetimeLimitSeconds"
CALL_S: Final = 15.0  # the whole of one use of the store, retries of the driver included


class AlreadyThere(Exception):
    """Something was stored under the same id in the same moment: look again."""


def insert_new(collection: Collection[Document], documents: Sequence[Document], session: Session) -> None:
    """Inside a transaction. Raises AlreadyThere where an id is taken."""
    try:
        collection.insert_many(documents, ordered=False, session=session)
    except BulkWriteError as error:
        if any(failure["code"] == _DUPLICATE_KEY for failure in error.details["writeErrors"]):
            raise AlreadyThere from None
        raise


def connect(url: str, *, app: str) -> Db:
    """The database named in the URL, else `mailroom`. Opens nothing until it is used."""
    client: MongoClient[Document] = MongoClient(
        url,
        appname=f"mailroom-{app}",
        tz_aware=True,
        tzinfo=UTC,
        w="majority",
        journal=True,
        readConcernLevel="majority",
        retryWrites=True,
        serverSelectionTimeoutMS=8_000,
        # A member that hangs is noticed after both together; calls that wait for it are given up then.
        connectTimeoutMS=3_000,
        heartbeatFrequencyMS=2_000,
        maxPoolSize=100,
    )
    options: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
    return client.get_default_database("mailroom", codec_options=options, write_concern=MAJORITY)


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Bound the time of a use of the store, and say Unavailable where the server is away.

    After Unavailable a write may or may not have happened, as after any lost answer.
    """

    @functools.wraps(function)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with pymongo.timeout(CALL_S):
                return function(*args, **kwargs)
        except (ConnectionFailure, NetworkTimeout, ExecutionTimeout, WTimeoutError) as error:
            raise Unavailable(f"MongoDB did not answer: {_in_short(error)}") from error
        except PyMongoError as error:
            if why := _refusal(error):
                raise TakesNoWrites("MongoDB", why) from error
            if error.timeout or error.has_error_label("TransientTransactionError"):
                raise Unavailable(f"MongoDB did not answer in time: {_in_short(error)}") from error
            raise

    return bounded


DISK_IS_FULL: Final = "its disk is full"
# Error codes by which mongod refuses every write.
_REFUSALS: Final = {
    371: "its writes are blocked (setUserWriteBlockMode)",  # UserWritesBlocked
    14031: DISK_IS_FULL,  # OutOfDiskSpace
}
_UNKNOWN: Final = 8  # the code of a write that finds no room on the disk, beside the words of the system
_NO_ROOM: Final = "No space left on device"


def _refusal(error: PyMongoError) -> str | None:
    """Why mongod takes no writes at all, in words; None where it is another error."""
    found = [(error.code, str(error))] if isinstance(error, OperationFailure) else []
    if isinstance(error, BulkWriteError):
        every = [*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ())]
        found += [(one.get("code"), one.get("errmsg", "")) for one in every]
    for code, words in found:
        if code == _UNKNOWN and _NO_ROOM in words:
            return DISK_IS_FULL
        if code in _REFUSALS:
            return _REFUSALS[code]
    return None


def _in_short(error: PyMongoError) -> str:
    """Without the driver's settings, and its view of all servers."""
    return str(error).partition(" (configured")[0]


@guarded
def in_transaction(db: Db, work: Callable[[Session], R]) -> R:
    """Run `work` in one transaction over a snapshot, majority-journaled at its end; again if writers collide.

    `work` may run several times: it must do nothing but use this session.
    """
    with db.client.start_session() as session:
        return session.with_transaction(
            work, read_concern=ReadConcern("snapshot"), write_concern=MAJORITY, max_commit_time_ms=10_000
        )


@contextlib.contextmanager
def snapshot(db: Db) -> Iterator[Session]:
    """A session whose reads all see the database at one moment.

    Without it a count that walks an index misses a document that moves within the index meanwhile.
    """
    with db.client.start_session(snapshot=True) as session:
        yield session


@guarded
def server_now(db: Db) -> datetime:
    """MongoDB's clock: the one clock by which what is due is decided."""
    now: datetime = db.command("hello", codec_options=db.codec_options)["localTime"]
    return now


@guarded
def transaction_lifetime_s(db: Db) -> int | None:
    """For how long a transaction whose process was killed keeps its locks; None where we may not ask."""
    try:
        return int(db.client.admin.command("getParameter", transactionLifetimeLimitSeconds=1)[_LIFETIME])
    except OperationFailure:
        return None


def drop_unset(document: Mapping[str, Any]) -> Document:
    """The document without fields that are None: an absent field is one way to say 'not', and the shorter."""
    return {name: value for name, value in document.items() if value is not None}
