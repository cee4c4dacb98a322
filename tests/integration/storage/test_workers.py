"""The collection of those that work here: one document a process, one write a check-in, and none stays for ever."""

from datetime import timedelta
from typing import Any

from mailroom.domain.ids import Lane
from mailroom.domain.sender_rules import PROTOCOL
from mailroom.domain.workers import MOST_LANES_SHOWN, WorkerKind
from mailroom.storage import workers
from mailroom.storage.database import Db, own_address, server_now
from tests.support.explaining import listened_to, work_of
from tests.support.workers import SINCE, checked_in, checked_in_by_an_earlier_version

MANY = [Lane(f"mail/{n:03}") for n in range(MOST_LANES_SHOWN + 5)]


def test_a_process_tells_who_it_is_and_what_it_has_in_hand(db: Db) -> None:
    checked_in(db, lanes=[Lane("mail/2"), Lane("mail/1")], in_flight=3)

    (found,) = workers.page(db, after="", limit=10)

    assert (found.id, found.kind, found.host, found.address) == ("ann-1", "sender", "ann", "192.0.2.7")
    assert (found.pid, found.version, found.protocol, found.since) == (4711, "1.2.3", PROTOCOL, SINCE)
    assert (found.lanes, found.lanes_count, found.in_flight) == ((Lane("mail/1"), Lane("mail/2")), 2, 3)
    assert server_now(db) - found.last_check_in < timedelta(seconds=10)


def test_a_further_check_in_is_counted_in_the_same_document_by_one_write(db: Db) -> None:
    checked_in(db, lanes=[Lane("mail/1")], in_flight=2)
    commands, heard = listened_to(db, every=True)

    checked_in(heard, lanes=[])

    assert [command["update"] for command in commands.asked] == ["workers"]
    (found,) = workers.page(db, after="", limit=10)
    assert (found.check_ins, found.lanes, found.in_flight) == (2, (), 0)


def test_of_many_lanes_the_first_are_shown_and_all_are_counted(db: Db) -> None:
    checked_in(db, lanes=MANY)

    (found,) = workers.page(db, after="", limit=10)

    assert found.lanes == tuple(MANY[:MOST_LANES_SHOWN])
    assert found.lanes_count == len(MANY)
    assert workers.lanes_held(db, since=server_now(db) - timedelta(minutes=1)) == set(MANY)


def test_a_sender_of_an_earlier_version_is_read_beside_a_new_one(db: Db) -> None:
    checked_in_by_an_earlier_version(db, "old-1", [Lane("mail/1")])
    checked_in(db, "new-1", [Lane("mail/2")])

    new, old = workers.page(db, after="", limit=10)

    assert (old.id, old.kind, old.lanes, old.lanes_count) == ("old-1", WorkerKind.SENDER, (Lane("mail/1"),), 1)
    assert {old.host, old.address, old.pid, old.version, old.since, old.check_ins, old.in_flight} == {None}
    assert new.host == "ann"
    assert workers.count_by_kind(db, since=server_now(db) - timedelta(minutes=1)) == {"sender": 2}


def test_a_sender_of_an_earlier_version_can_read_every_document(db: Db) -> None:
    """It reads `lanes` of everybody who has checked in, API and pages included."""
    for kind in WorkerKind:
        checked_in(db, kind.value, kind=kind)

    assert [doc["lanes"] for doc in db.workers.find({"checked_in_at": {"$exists": True}})] == [[]] * len(WorkerKind)


def test_a_page_goes_on_after_the_last_id(db: Db) -> None:
    for id_ in ("c", "a", "b"):
        checked_in(db, id_)

    first = workers.page(db, after="", limit=2)
    rest = workers.page(db, after=first[-1].id, limit=2)

    assert [[found.id for found in part] for part in (first, rest)] == [["a", "b"], ["c"]]


def test_who_is_silent_is_found_longest_first(db: Db) -> None:
    checked_in(db, "here")
    checked_in(db, "gone", ago=timedelta(minutes=1))
    checked_in(db, "long-gone", ago=timedelta(minutes=2))

    since = server_now(db) - timedelta(seconds=30)

    assert [found.id for found in workers.silent(db, since=since, limit=10)] == ["long-gone", "gone"]
    assert [found.id for found in workers.silent(db, since=since, limit=1)] == ["long-gone"]
    assert workers.count_by_kind(db, since=since) == {"sender": 1}


def test_who_is_removed_is_gone_and_nobody_else_is(db: Db) -> None:
    checked_in(db, "a")
    checked_in(db, "b")

    workers.remove(db, "a")
    workers.remove(db, "never-there")

    assert [found.id for found in workers.page(db, after="", limit=10)] == ["b"]


def test_a_document_ages_out_an_hour_after_its_last_check_in(db: Db) -> None:
    (ttl,) = [of for of in db.workers.list_indexes() if "expireAfterSeconds" in of]

    assert (dict(ttl["key"]), ttl["expireAfterSeconds"]) == ({"checked_in_at": 1}, 3_600)


def test_each_question_reads_no_more_rows_than_it_answers(db: Db) -> None:
    for n in range(200):
        checked_in(db, f"w-{n:03}", ago=timedelta(minutes=n))
    since = server_now(db) - timedelta(minutes=10, seconds=30)

    asked: dict[str, Any] = {
        "page": lambda db: workers.page(db, after="w-100", limit=10),
        "silent": lambda db: workers.silent(db, since=since, limit=10),
        "at work": lambda db: workers.count_by_kind(db, since=since),
        "too old": lambda db: workers.senders_below(db, PROTOCOL + 1, since=since, limit=100),
        "held": lambda db: workers.lanes_held(db, since=since),
    }

    for name, ask in asked.items():
        work = work_of(db, ask)
        assert work.keys <= 12, (name, work)
        assert not (work.sorts or work.walks_a_collection), (name, work)


def test_a_host_knows_the_address_by_which_it_reaches_mongodb(db: Db) -> None:
    server_now(db)

    assert own_address(db) == "127.0.0.1"
