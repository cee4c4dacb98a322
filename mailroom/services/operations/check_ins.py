"""Check a process in among the workers, in a thread of its own: the work of the process never waits for it."""

import functools
import importlib.metadata
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from datetime import timedelta
from typing import Final

import structlog

from mailroom.domain.errors import Unavailable
from mailroom.domain.instants import to_instant
from mailroom.domain.sender_rules import PROTOCOL
from mailroom.domain.workers import CHECK_IN_S, Activity, WorkerIdentity, WorkerKind
from mailroom.storage import workers
from mailroom.storage.database import Db, own_address, server_now

log = structlog.get_logger()
_LEAVE_S: Final = 5.0


def new_worker_id() -> str:
    """A name unique among all processes that ever run: a reused name could be taken for its predecessor."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


@functools.cache
def version() -> str:
    """The version of the installed package; 'unknown' of a checkout that is not installed."""
    try:
        return importlib.metadata.version("mailroom")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


class CheckIns:
    """The check-ins of one process, from `start` until `leave`. Thread-safe. Start it after a fork: it has a thread.

    While MongoDB is away, check-ins are missed and logged, and the process goes on.
    """

    def __init__(
        self,
        db: Db,
        kind: WorkerKind,
        worker_id: str,
        *,
        look: Callable[[], Activity | None],
        every_s: float = CHECK_IN_S,
    ) -> None:
        """`look` is called in the thread when nothing was handed in for `every_s` seconds; None: do not check in."""
        self._db, self._kind, self._id = db, kind, worker_id
        self._look, self._every_s = look, every_s
        self._began = time.monotonic()
        self._changed = threading.Condition()
        self._handed_in: Activity | None = None
        self._leaving = False
        self._who: WorkerIdentity | None = None  # known from the first answer of MongoDB on
        self._thread = threading.Thread(target=copy_context().run, args=(self._run,), name="check-ins", daemon=True)

    def start(self) -> None:
        """Check in now, and from now on."""
        self.hand_in(Activity())
        self._thread.start()

    def hand_in(self, activity: Activity) -> None:
        """Check in with this as soon as the thread can. Never waits for MongoDB; a newer activity replaces one that
        still waits."""
        with self._changed:
            self._handed_in = activity
            self._changed.notify()

    def leave(self) -> None:
        """Check in no more, and remove the document. While MongoDB is away this gives up after five seconds; the
        process is then shown as silent."""
        with self._changed:
            self._leaving = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(_LEAVE_S)

    def _run(self) -> None:
        while activity := self._next():
            self._quietly(functools.partial(self._check_in, activity))
        if self._who:
            self._quietly(functools.partial(workers.remove, self._db, self._id))

    def _next(self) -> Activity | None:
        """What to check in with, as soon as there is something; None when the process leaves."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._handed_in or self._leaving, self._every_s)
                activity, self._handed_in = self._handed_in, None
                if self._leaving:
                    return None
            if activity := activity or self._look():
                return activity

    def _check_in(self, activity: Activity) -> None:
        self._who = self._who or self._introduce()
        workers.check_in(self._db, self._who, activity)

    def _introduce(self) -> WorkerIdentity:
        since = to_instant(server_now(self._db) - timedelta(seconds=time.monotonic() - self._began))
        return WorkerIdentity(
            id=self._id,
            kind=self._kind,
            host=socket.gethostname(),
            address=own_address(self._db),
            pid=os.getpid(),
            version=version(),
            protocol=PROTOCOL,
            since=since,
        )

    def _quietly(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Unavailable as error:
            log.warning("check_in_missed", worker=self._id, error=str(error))
        except Exception:
            # Nothing hangs on a check-in.
            log.exception("check_in_failed", worker=self._id)
