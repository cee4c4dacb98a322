"""A process checks in by a thread of its own: at once, then every few seconds, and it leaves when it ends in order."""

import importlib.metadata
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import patch

import pytest
from structlog.testing import capture_logs

from mailroom.domain.ids import Lane
from mailroom.domain.workers import Activity, Worker, WorkerKind
from mailroom.services.operations import check_ins as check_in_service
from mailroom.services.operations import workers as worker_service
from mailroom.services.operations.check_ins import CheckIns, new_worker_id
from mailroom.storage import workers
from mailroom.storage.database import Db, connect, server_now
from tests.support.system import wait_for
from tests.support.workers import checked_in

AWAY = "mongodb://127.0.0.1:9/mailroom?serverSelectionTimeoutMS=100"


@pytest.fixture
def away() -> Iterator[Db]:
    db = connect(AWAY, app="tests")
    yield db
    db.client.close()


def shown(db: Db) -> list[Worker]:
    return workers.page(db, after="", limit=10)


def only(db: Db, *, check_ins: int = 1) -> Worker:
    """The only process, once it has checked in so often."""
    wait_for(
        lambda: [one for one in shown(db) if (one.check_ins or 0) >= check_ins], within_s=10, what="it has checked in"
    )
    (found,) = shown(db)
    return found


def test_a_process_checks_in_as_soon_as_it_starts_and_says_who_it_is(db: Db) -> None:
    id_ = new_worker_id()
    process = CheckIns(db, WorkerKind.WEB, id_, look=lambda: None)
    began = server_now(db)

    process.start()
    found = only(db)
    process.leave()

    assert (found.id, found.kind, found.host, found.pid) == (id_, "web", socket.gethostname(), os.getpid())
    assert (found.address, found.version) == ("127.0.0.1", importlib.metadata.version("mailroom"))
    assert found.since
    assert abs(found.since - began) < timedelta(seconds=5)


def test_it_looks_for_itself_when_nobody_hands_anything_in(db: Db) -> None:
    process = CheckIns(db, WorkerKind.API, "ann-1", look=lambda: Activity(in_flight=7), every_s=0.05)

    process.start()
    found = only(db, check_ins=3)
    process.leave()

    assert found.in_flight == 7


def test_what_is_handed_in_is_written_at_once(db: Db) -> None:
    process = CheckIns(db, WorkerKind.SENDER, "ann-1", look=lambda: None, every_s=60)
    process.start()
    only(db)

    process.hand_in(Activity([Lane("mail/1")], in_flight=2))
    found = only(db, check_ins=2)
    process.leave()

    assert (found.lanes, found.in_flight) == ((Lane("mail/1"),), 2)


def test_a_process_that_leaves_is_gone_at_once_and_checks_in_no_more(db: Db) -> None:
    process = CheckIns(db, WorkerKind.API, "ann-1", look=Activity, every_s=0.01)
    checked_in(db, "somebody-else")
    process.start()
    wait_for(lambda: len(shown(db)) == 2, within_s=10, what="it has checked in")

    process.leave()
    process.hand_in(Activity())

    assert not process._thread.is_alive()
    assert [one.id for one in shown(db)] == ["somebody-else"]


def test_while_mongodb_is_away_a_check_in_is_missed_and_a_stop_is_bounded(away: Db) -> None:
    process = CheckIns(away, WorkerKind.SENDER, "ann-1", look=lambda: None)

    with capture_logs() as lines:
        began = time.monotonic()
        process.start()
        wait_for(lambda: lines, within_s=30, what="the miss is logged")
        process.leave()
        left_s = time.monotonic() - began

    assert {line["event"] for line in lines} == {"check_in_missed"}
    assert left_s < 40


def test_nobody_waits_for_a_store_that_hangs_and_a_stop_only_for_a_few_seconds(db: Db) -> None:
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hangs.set()
        goes_on.wait(60)

    with patch.object(check_in_service, "_LEAVE_S", 0.2), patch.object(workers, "check_in", hang):
        process = CheckIns(db, WorkerKind.API, "ann-1", look=lambda: None)
        began = time.monotonic()
        process.start()
        process.hand_in(Activity())
        assert hangs.wait(10)
        process.leave()
        waited_s = time.monotonic() - began
        goes_on.set()
        process._thread.join(10)

    assert waited_s < 5
    assert not process._thread.is_alive()


def test_a_check_in_that_fails_is_logged_and_the_next_one_is_made(db: Db) -> None:
    answers = iter([ZeroDivisionError("of a kind that nobody thought of")])
    written = workers.check_in

    def fail_once(*args: object) -> None:
        for error in answers:
            raise error
        written(*args)  # type: ignore[arg-type]

    process = CheckIns(db, WorkerKind.API, "ann-1", look=Activity, every_s=0.05)
    with capture_logs() as lines, patch.object(workers, "check_in", fail_once):
        process.start()
        only(db)
        process.leave()

    assert [line["event"] for line in lines] == ["check_in_failed"]


def test_who_is_silent_is_told_apart_from_who_is_at_work(db: Db) -> None:
    checked_in(db, "api-1", kind=WorkerKind.API)
    checked_in(db, "sender-1", ago=timedelta(seconds=20))
    checked_in(db, "sender-2", ago=timedelta(seconds=90))

    listed = worker_service.page(db, after="", limit=10)

    assert [view.worker.id for view in listed if view.silent] == ["sender-2"]
    (silent,) = worker_service.silent(db)
    assert timedelta(seconds=90) <= silent.quiet_for < timedelta(seconds=120)
    assert worker_service.at_work(db) == {"api": 1, "sender": 1}
