"""The connection, and the guarantees of every write and read.

Writes are acknowledged by a journaled majority; reads see majority-committed data. A late answer raises Unavailable
(see `guarded`). The driver retries a write only under its transaction number, so that the write takes effect once.
"""

import contextlib
import functools
import socket
import time
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
from mailroom.storage.round_trips import RoundTrips
from mailroom.watching import stores

Document = dict[str, Any]
Db = Database[Document]
Session = ClientSession
P = ParamSpec("P")
R = TypeVar("R")

MAJORITY: Final = WriteConcern(w="majority", j=True)
_DUPLICATE_KEY: Final = 11000
MOST_COUNTED: Final = 100_000  # of a figure for operators: counting these takes a tenth of a second
CALL_S: Final = 15.0  # for one use of the store, retries of the driver included
_BRIEF_S: Final = 4.0


class AlreadyThere(Exception):
    """Another writer stored a document under the same id at the same time: read again."""


def insert_new(collection: Collection[Document], documents: Sequence[Document], session: Session) -> None:
    """Insert documents inside a transaction. Raises AlreadyThere if an id is taken."""
    try:
        collection.insert_many(documents, ordered=False, session=session)
    except BulkWriteError as error:
        if any(failure["code"] == _DUPLICATE_KEY for failure in error.details["writeErrors"]):
            raise AlreadyThere from None
        raise


def insert_once(collection: Collection[Document], documents: Sequence[Document]) -> None:
    """Insert documents, each once however often this is repeated: those that an earlier try has stored stay."""
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if error.details.get("writeConcernErrors") or any(
            failure["code"] != _DUPLICATE_KEY for failure in error.details["writeErrors"]
        ):
            raise


def connect(url: str, *, app: str) -> Db:
    """The database named in the URL, else `mailroom`. Connects on first use."""
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
        # A hanging member is detected after the sum of both; calls that wait for it fail then.
        connectTimeoutMS=3_000,
        heartbeatFrequencyMS=2_000,
        maxPoolSize=100,
        event_listeners=[RoundTrips()],
    )
    options: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
    return client.get_default_database("mailroom", codec_options=options, write_concern=MAJORITY)


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Bound the time of a use of the store. Raises Unavailable if the server is away, and TakesNoWrites.

    After Unavailable a write may or may not have happened, as after any lost answer.
    """
    return _within(CALL_S, function)


def unhurried(function: Callable[P, R]) -> Callable[P, R]:
    """As `guarded`, for work whose time grows with the data, such as the build of an index: no bound, but a server that
    is away is noticed all the same."""
    return _within(None, function)


def briefly(function: Callable[P, R]) -> Callable[P, R]:
    """As `guarded`, for what is not worth a long wait: four seconds."""
    return _within(_BRIEF_S, function)


def _within(limit_s: float | None, function: Callable[P, R]) -> Callable[P, R]:
    @functools.wraps(function)
    def bounded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with pymongo.timeout(limit_s):
                return function(*args, **kwargs)
        except (ConnectionFailure, NetworkTimeout, ExecutionTimeout, WTimeoutError) as error:
            stores.failed(stores.MONGODB)
            raise Unavailable(f"MongoDB did not answer: {_in_short(error)}") from error
        except PyMongoError as error:
            if why := _refusal(error):
                stores.failed(stores.MONGODB)
                raise TakesNoWrites("MongoDB", why) from error
            if error.timeout or error.has_error_label("TransientTransactionError"):
                stores.failed(stores.MONGODB)
                raise Unavailable(f"MongoDB did not answer in time: {_in_short(error)}") from error
            if isinstance(error, OperationFailure) and error.code == _PLAN_KILLED:
                raise Unavailable(f"MongoDB ended a query whose index is gone: {_in_short(error)}") from error
            raise

    return bounded


_PLAN_KILLED: Final = 175  # another version has started, and dropped what it replaced: the query is to be asked again
DISK_IS_FULL: Final = "its disk is full"
# Error codes by which mongod refuses every write.
_REFUSALS: Final = {
    371: "its writes are blocked (setUserWriteBlockMode)",  # UserWritesBlocked
    14031: DISK_IS_FULL,  # OutOfDiskSpace
}
_UNKNOWN: Final = 8  # the code of a write without room on the disk; the message is that of the operating system
_NO_ROOM: Final = "No space left on device"


def _refusal(error: PyMongoError) -> str | None:
    """The reason why mongod refuses all writes, in words; None for any other error."""
    failures = [(error.code, str(error))] if isinstance(error, OperationFailure) else []
    if isinstance(error, BulkWriteError):
        every = [*error.details.get("writeErrors", ()), *error.details.get("writeConcernErrors", ())]
        failures += [(failure.get("code"), failure.get("errmsg", "")) for failure in every]
    for code, words in failures:
        if code == _UNKNOWN and _NO_ROOM in words:
            return DISK_IS_FULL
        if code in _REFUSALS:
            return _REFUSALS[code]
    return None


def _in_short(error: PyMongoError) -> str:
    """The message without the driver's settings and its view of all servers."""
    return str(error).partition(" (configured")[0]


@guarded
def in_transaction(db: Db, work: Callable[[Session], R]) -> R:
    """Run `work` in one transaction over a snapshot, with a majority-journaled commit; retried if writers collide.

    `work` may run several times: it must have no effects outside this session.
    """
    with db.client.start_session() as session:
        return session.with_transaction(
            work, read_concern=ReadConcern("snapshot"), write_concern=MAJORITY, max_commit_time_ms=10_000
        )


@contextlib.contextmanager
def snapshot(db: Db) -> Iterator[Session]:
    """A session whose reads all see the database at one moment.

    Without a snapshot, a count along an index can miss a document that moves within the index during the count.
    """
    with db.client.start_session(snapshot=True) as session:
        yield session


_SNAPSHOT_UNAVAILABLE: Final = 246  # a collection was created or indexed at this moment
_SNAPSHOT_TRIES: Final = 20
_SNAPSHOT_PAUSE_S: Final = 0.05


def in_snapshot(db: Db, read: Callable[[Session], R]) -> R:
    """Run `read` on a snapshot of the database; retried if the snapshot cannot be read. `read` may run several times.

    Raises Unavailable.
    """
    for _ in range(_SNAPSHOT_TRIES):
        try:
            with snapshot(db) as session:
                return read(session)
        except OperationFailure as error:
            if error.code != _SNAPSHOT_UNAVAILABLE:
                raise
            refused = error
            time.sleep(_SNAPSHOT_PAUSE_S)
    raise Unavailable(f"MongoDB did not answer: {_in_short(refused)}")


@guarded
def server_now(db: Db) -> datetime:
    """MongoDB's clock: the only clock for decisions about due work."""
    now: datetime = db.command("hello", codec_options=db.codec_options)["localTime"]
    return now


def own_address(db: Db) -> str:
    """The IP address by which this host reaches MongoDB, once the client has found it; '' if it is not known. Nothing
    is sent, but the look-up of a name may take seconds."""
    for host, port in sorted(db.client.nodes, key=str):
        with contextlib.suppress(OSError):
            family, kind, _, _, server = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            with socket.socket(family, kind) as route:
                route.connect(server)
                return str(route.getsockname()[0])
    return ""


def drop_unset(document: Mapping[str, Any]) -> Document:
    """The document without fields that are None: an absent field means 'not set'."""
    return {name: value for name, value in document.items() if value is not None}
