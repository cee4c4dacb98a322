"""A real Redis under real Sentinels fails over: it is another memory, whoever answers.

The fences are asked as senders ask them. What a replaced master was told is lost; what it answers counts for its own
memory alone.
"""

import time
from collections.abc import Iterator

import pytest
from redis import Redis

from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.coordination.mirror import Mirror
from mailroom.domain.dispatches.fences import Fence, FenceState
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.errors import StaleToken, TakesNoWrites, Unavailable
from mailroom.domain.holds import Hold
from mailroom.domain.ids import DispatchId, Lane, Token
from mailroom.services.dispatching.fences import cross_fences
from tests.support.builders import a_claimed
from tests.support.parted import Parted
from tests.support.sentinels import Sentinels
from tests.support.system import wait_for

LANE = Lane("schedule/s")
D1 = DispatchId("d1")


@pytest.fixture
def fences(group: Sentinels) -> Iterator[Fences]:
    made = Fences(group.url, of="tests")
    yield made
    made.close_client()


def claimed(fences: Fences, token: int = 5, dispatch: str = "d1") -> Claimed:
    """By a sender that has just entered the lane."""
    _, identity = fences.enter({LANE: Token(token)})
    return a_claimed(dispatch=dispatch, claim=f"c-{dispatch}", token=token, lane=LANE, redis_identity=identity)


def identity_after_a_while(fences: Fences) -> str:
    def asked() -> str:
        try:
            return fences.redis_identity()
        except Unavailable:
            return ""

    return wait_for(asked, within_s=30, what="Redis answers again")


def run_id(identity: str) -> str:
    return identity.partition(":")[0]


def test_a_fail_over_makes_another_identity_also_where_the_same_process_is_master_again(
    group: Sentinels, fences: Fences
) -> None:
    first = fences.redis_identity()
    group.fail_over()
    second = identity_after_a_while(fences)
    group.fail_over()
    third = identity_after_a_while(fences)

    assert len({first, second, third}) == 3
    assert run_id(first) == run_id(third) != run_id(second)


def test_since_a_fail_over_redis_remembers_no_further_back(group: Sentinels, fences: Fences) -> None:
    mirror = Mirror(group.url, of="tests")
    before = mirror.memory_since()

    group.fail_over()
    identity_after_a_while(fences)

    assert mirror.memory_since() > before
    mirror.close()


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_what_was_claimed_before_a_fail_over_is_not_called_after_it(group: Sentinels, fences: Fences, how: str) -> None:
    waiting, master = claimed(fences), group.master

    master.kill() if how == "killed" else master.freeze()
    identity_after_a_while(fences)
    crossing = cross_fences(fences, [waiting])

    assert (crossing.go, crossing.forgotten) == ([], [waiting])
    assert cross_fences(fences, [claimed(fences, dispatch="d2")]).go


def test_one_call_waits_for_a_frozen_master_and_none_of_the_other_clients_of_the_process(
    group: Sentinels, fences: Fences
) -> None:
    """Each has connections of its own. A sender has five clients: waiting with each of them in turn took 18 s."""
    mirror, holds = Mirror(group.url, of="tests"), Holds(group.url, of="tests")
    others = (mirror.read, mirror.memory_since, lambda: holds.read("switch"))
    for ask in (fences.redis_identity, *others):
        ask()
    master = group.master

    master.freeze()
    group.wait_for_another(master)
    with pytest.raises(Unavailable):
        fences.redis_identity()

    began = time.monotonic()
    for ask in (fences.redis_identity, *others):
        ask()
    assert time.monotonic() - began < 1
    mirror.close()
    holds.close()


def test_only_a_master_tells_an_identity_also_where_its_replicas_take_writes(group: Sentinels) -> None:
    """What a replica is told is gone when it is made equal to its master, in the same process."""
    (replica,) = group.others(group.master)
    direct = Fences(f"redis://127.0.0.1:{replica.port}/0", of="tests")

    for read_only in ("yes", "no"):
        with Redis(port=replica.port) as redis:
            redis.config_set("replica-read-only", read_only)
        with pytest.raises(TakesNoWrites, match="replica"):
            direct.redis_identity()
        with pytest.raises(TakesNoWrites, match="replica"):
            direct.read([(LANE, D1)])
        with pytest.raises(TakesNoWrites, match="replica"):
            direct.cross({a_claimed().claim.id: [a_claimed()]})
    direct.close_client()


def test_a_client_leaves_a_master_that_became_a_replica(group: Sentinels, fences: Fences) -> None:
    """Over the connection that it has, if Redis does not end it."""
    waiting, master = claimed(fences), group.master
    group.part(master)
    group.wait_for_another(master)
    with Redis(port=master.port) as redis:
        # A plain REPLICAOF ends no connections, as Sentinels do.
        redis.replicaof("127.0.0.1", str(group.master.ways[0].port))

    with pytest.raises(Unavailable):
        fences.cross({waiting.claim.id: [waiting]})

    assert cross_fences(fences, [waiting]).forgotten == [waiting]


def test_each_of_two_masters_lets_cross_what_was_claimed_under_it_alone(parted: Parted) -> None:
    by_old, by_new = claimed(parted.old, dispatch="d1"), claimed(parted.new, dispatch="d2")

    assert cross_fences(parted.new, [by_old]).forgotten == [by_old]
    assert cross_fences(parted.old, [by_new]).forgotten == [by_new]
    assert cross_fences(parted.old, [by_old]).go == [by_old]
    assert cross_fences(parted.new, [by_new]).go == [by_new]


def test_who_reads_the_fences_of_a_master_is_its_holder_there_whatever_other_master_it_entered(
    parted: Parted,
) -> None:
    """Else a sender that woke up would cross the fence at the old master after it was read there as not crossed."""
    sleeping = claimed(parted.old, token=5)
    parted.new.enter({LANE: Token(6)})

    found, identity = parted.old.read_held({LANE: Token(6)}, [(LANE, D1)])

    assert (found[D1].state, identity) == (FenceState.NONE, sleeping.claim.redis_identity)
    assert cross_fences(parted.old, [sleeping]).stale == [sleeping]


def test_who_is_no_holder_any_more_at_the_master_that_answers_reads_nothing(parted: Parted) -> None:
    parted.old.enter({LANE: Token(7)})

    with pytest.raises(StaleToken):
        parted.old.read_held({LANE: Token(6)}, [(LANE, D1)])


def test_writes_to_a_replaced_master_are_gone_and_its_identity_with_them(parted_alone: Parted) -> None:
    old, new = parted_alone.old, parted_alone.new
    called = claimed(old)
    assert cross_fences(old, [called]).go

    parted_alone.heal()
    # At first the replaced master may answer yet: nobody has told it that it was replaced.
    wait_for(
        lambda: identity_after_a_while(old) == identity_after_a_while(new), within_s=30, what="both ask the new master"
    )
    found, identity = old.read_held({LANE: Token(6)}, [(LANE, D1)])

    assert found[D1] == Fence(FenceState.NONE)
    assert identity == new.redis_identity() != called.claim.redis_identity


def test_a_hold_says_which_of_two_masters_has_it(parted: Parted) -> None:
    holds = Holds(parted.group.url, of="tests")

    told = holds.mirror(Hold("run-1", 1, "ann"))
    stands, read_at = holds.read("run-1")

    assert (stands.number, told, read_at) == (1, parted.new.redis_identity(), told)
    assert told != parted.old.redis_identity()
    holds.close()
