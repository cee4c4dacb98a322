"""Redis fails over between the steps of senders, and its old master does not know it: whoever speaks to which of the
two, nothing is called twice, and a stop names all that may still go.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds, hold_key
from mailroom.coordination.mirror import Mark, Mirror
from mailroom.domain.dispatches.doubts import Timing
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.errors import RedisChanged, Unavailable
from mailroom.domain.holds import EVERYTHING
from mailroom.domain.ids import ClaimId
from mailroom.services.common import sending_switch
from mailroom.services.dispatching.fences import Crossing, cross_fences, seed_fences
from mailroom.services.dispatching.lanes import LaneWork
from mailroom.services.dispatching.take_over import take_over
from mailroom.services.operations import older_copy, restore
from mailroom.services.schedules import pause as schedule_pause
from mailroom.storage.cluster import restore_mark, restored_fences
from mailroom.storage.database import Db, server_now
from tests.support.lines import Line, a_run, states_of_dispatches
from tests.support.parted import Parted
from tests.support.sentinels import Sentinels
from tests.support.system import wait_for


class Lines:
    """Two senders: `old` speaks to the replaced master, `new` to the new one. `old` has claimed a run's dispatches."""

    def __init__(self, db: Db, parted: Parted) -> None:
        self.parted = parted
        self.old = Line(db, parted.old, parted.old_holds, "old")
        self.new = Line(db, parted.new, parted.new_holds, "new")
        self.run, _ = a_run(self.old, 30)
        (self.lane,) = self.old.held
        self.claimed = self.old.claim()

    def overtake(self) -> None:
        """The lease of `old` is over."""
        self.new.take(self.lane, token=2)

    def take_over(self, *, by: Line, asking: Line) -> None:
        take_over(LaneWork(by.db, asking.fences, by.held, by.name), [])

    def state(self, line: Line) -> dict[str, int]:
        return dict(states_of_dispatches(line.db, self.run))


@pytest.fixture
def two(db: Db, parted: Parted) -> Lines:
    return Lines(db, parted)


def stop(line: Line) -> sending_switch.Switch:
    return sending_switch.stop(line.db, line.holds, line.fences, by="ann")


def ids(claimed: list[Claimed]) -> set[str]:
    return {one.id for one in claimed}


def test_what_crossed_at_a_replaced_master_is_in_doubt_for_the_next_holder(two: Lines) -> None:
    assert len(two.old.cross(two.claimed).go) == 3

    two.overtake()
    two.take_over(by=two.new, asking=two.new)

    assert two.state(two.new) == {"in_doubt": 3}


def test_what_could_yet_cross_at_a_replaced_master_is_in_doubt_for_the_next_holder(two: Lines) -> None:
    two.overtake()
    two.take_over(by=two.new, asking=two.new)

    assert two.state(two.new) == {"in_doubt": 3}
    assert len(two.old.cross(two.claimed).go) == 3  # a sender that woke up: its calls are waited for


def test_what_a_replaced_master_shows_as_not_crossed_does_not_cross_there_any_more(two: Lines) -> None:
    """The next holder has entered its lane at the new master, and is answered by the old one."""
    two.overtake()
    two.take_over(by=two.new, asking=two.old)

    assert two.state(two.new) == {"pending": 3}
    assert ids(two.old.cross(two.claimed).stale) == ids(two.claimed)


def test_a_stop_at_the_new_master_names_what_may_cross_at_the_old_one(two: Lines) -> None:
    stopped = stop(two.new)

    assert not stopped.sure
    assert {call.id for call in stopped.in_flight} == ids(two.claimed)
    assert two.new.cross(two.claimed).go == []


def test_a_stop_at_the_old_master_names_what_may_cross_at_the_new_one(two: Lines) -> None:
    two.overtake()
    two.take_over(by=two.new, asking=two.old)
    by_new = two.new.claim()

    stopped = stop(two.old)

    assert not stopped.sure
    assert {call.id for call in stopped.in_flight} == ids(by_new) == ids(two.claimed)


def test_a_stop_says_for_sure_where_the_hold_and_the_claims_are_of_one_memory(two: Lines) -> None:
    stopped = stop(two.old)

    assert (stopped.sure, stopped.in_flight) == (True, ())
    assert ids(two.old.cross(two.claimed).held) == ids(two.claimed)


def test_a_pause_says_as_much(two: Lines) -> None:
    _, at_new = schedule_pause.pause_run(two.new.db, two.new.brakes, two.run, by="ann")
    schedule_pause.resume_run(two.new.db, two.new.brakes, two.run, by="ann")
    _, at_old = schedule_pause.pause_run(two.old.db, two.old.brakes, two.run, by="ann")

    assert (at_new.sure, {call.id for call in at_new.in_flight}) == (False, ids(two.claimed))
    assert (at_old.sure, at_old.in_flight) == (True, ())


def test_a_hold_and_fences_that_are_asked_of_different_masters_say_nothing_for_sure(two: Lines) -> None:
    stopped = sending_switch.stop(two.new.db, two.new.holds, two.old.fences, by="ann")

    assert (stopped.sure, {call.id for call in stopped.in_flight}) == (False, ids(two.claimed))


def test_when_the_old_master_is_a_replica_all_goes_on_and_each_is_called_once(db: Db, parted_alone: Parted) -> None:
    two = Lines(db, parted_alone)
    called = two.old.cross(two.claimed[:1]).go
    two.parted.heal()

    again = wait_for(lambda: _crossing(two.old, two.claimed[1:]), within_s=30, what="Redis answers again")

    assert (len(called), again.go, ids(again.forgotten)) == (1, [], ids(two.claimed[1:]))


def _crossing(line: Line, claimed: list[Claimed]) -> Crossing | None:
    """None where Redis has just ended the connection."""
    try:
        return line.cross(claimed)
    except Unavailable:
        return None


def test_mongodbs_records_must_reach_the_redis_in_which_the_fence_is_crossed(two: Lines) -> None:
    """Else a call that a restored MongoDB has lost would be made again, at the master that was not told of it."""
    first, now = two.claimed[0], server_now(two.old.db)
    lost = Fence(FenceState.CROSSED, 1, ClaimId("lost"), first.digest)
    restored_fences.keep(two.old.db, [(first.id, lost)], now=now, kept_for=timedelta(days=1))

    with pytest.raises(RedisChanged):
        seed_fences(two.new.db, two.new.fences, two.claimed)
    seed_fences(two.old.db, two.old.fences, two.claimed)

    crossing = cross_fences(two.old.fences, two.claimed)
    assert {result.claimed for result in crossing.called_before} == {first}
    assert ids(crossing.go) == ids(two.claimed[1:])


AT_ONCE = Timing(timedelta(), timedelta(), timedelta(), log_retention=timedelta(days=1))


class FailsOver:
    """A provider that is asked for its log, and meanwhile Redis fails over."""

    name, askable, account = "mailgun", True, "mg.example.com"

    def __init__(self, group: Sentinels) -> None:
        self._group = group

    def accepted_since(self, *_: Any) -> Iterator[tuple[str, str]]:
        self._group.fail_over()
        return iter(())


def test_a_restored_mongodb_is_not_put_right_by_the_fences_of_two_masters(db: Db, group: Sentinels) -> None:
    mirror = Mirror(group.url, of=db.name)
    number, now, *_ = restore_mark.raise_mark(db)
    mirror.raise_to(Mark(number + 10, now))
    asked: Any = FailsOver(group)

    with pytest.raises(Unavailable, match="failed over"):
        restore.after_restore(db, mirror, [asked], timing=AT_ONCE)

    assert isinstance(older_copy.look(db, mirror), older_copy.OlderCopy)
    mirror.close()


def test_holds_are_written_again_to_a_new_master_that_lost_them(db: Db, group: Sentinels) -> None:
    """As every sender does once a second."""
    line = Line(db, Fences(group.url, of=db.name), Holds(group.url, of=db.name))
    stop(line)
    with group.client(group.master.port) as redis:
        redis.delete(hold_key(db.name, EVERYTHING))

    sending_switch.switch(db, line.holds, line.fences)

    assert line.holds.read(EVERYTHING)[0].held
    line.fences.close_client()
    line.holds.close()
