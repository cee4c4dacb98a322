"""Leases in a real etcd."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from local.servers import Servers
from mailroom.coordination.leases import Leases
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import Lane
from tests.chaos.proxy import Proxy, Way
from tests.support.system import wait_for

Make = Callable[..., Leases]


@pytest.fixture
def make(servers: Servers) -> Iterator[Make]:
    made: list[Leases] = []

    def one(sender: str, **changes: object) -> Leases:
        leases = Leases([servers.etcd_url], sender=sender, **{"ttl_s": 3, **changes})  # type: ignore[arg-type]
        made.append(leases)
        leases.begin()
        return leases

    yield one
    for leases in made:
        leases.end()
        leases.close()


def lanes(request: pytest.FixtureRequest, count: int = 1) -> list[Lane]:
    return [Lane(f"schedule/{request.node.name}-{number}") for number in range(count)]


def test_a_lane_has_one_holder(make: Make, request: pytest.FixtureRequest) -> None:
    ann, bo = make("ann"), make("bo")
    (lane,) = lanes(request)

    first, second = ann.take([lane]), bo.take([lane])

    assert list(first.revisions) == [lane]
    assert second.revisions == {}


def test_the_next_holder_of_a_lane_has_a_higher_revision(make: Make, request: pytest.FixtureRequest) -> None:
    ann, bo = make("ann"), make("bo")
    (lane,) = lanes(request)
    first = ann.take([lane]).revisions[lane]
    ann.release({lane: first})

    assert bo.take([lane]).revisions[lane] > first


def test_hundreds_of_lanes_are_taken_at_once_and_each_by_one(make: Make, request: pytest.FixtureRequest) -> None:
    ann, bo = make("ann"), make("bo")
    wanted = lanes(request, 230)

    mine = ann.take(wanted[:120]).revisions
    rest = bo.take(wanted).revisions

    assert set(mine) == set(wanted[:120])
    assert set(rest) == set(wanted[120:])


def test_a_lane_of_a_holder_that_went_away_is_free_after_its_lease(make: Make, request: pytest.FixtureRequest) -> None:
    ann, bo = make("ann", ttl_s=2), make("bo")
    (lane,) = lanes(request)
    ann.take([lane])

    def taken() -> bool:
        bo.keep_alive()
        return bool(bo.take([lane]).revisions)

    wait_for(taken, within_s=8, what="the dead holder's lane is free")


def test_a_lease_is_believed_only_until_its_own_deadline(make: Make) -> None:
    clock = [100.0]
    ann = make("ann", ttl_s=10, monotonic=lambda: clock[0])

    assert ann.held
    clock[0] = 100 + 10 - 2
    assert not ann.held


def test_renewing_moves_the_deadline_from_the_moment_it_was_sent(make: Make) -> None:
    clock = [100.0]
    ann = make("ann", ttl_s=10, monotonic=lambda: clock[0])
    clock[0] = 105.0

    assert ann.keep_alive()
    assert ann.deadline == 105 + 10 - 2


def test_renewing_starts_no_thread(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC starts two for a stream, as which the call is declared: every few seconds, of every sender for ever."""
    ann, started = make("ann"), list[threading.Thread]()
    monkeypatch.setattr(threading.Thread, "start", started.append)

    assert ann.keep_alive()
    assert started == []


def test_a_revoked_lease_is_noticed_by_renewing_and_by_asking(make: Make) -> None:
    ann = make("ann")
    assert ann.confirm()
    assert ann._lease_id is not None
    ann._etcd.revoke(ann._lease_id)

    assert not ann.confirm()
    assert not ann.keep_alive()
    assert not ann.held


def test_without_a_lease_no_lane_is_taken_because_a_key_without_one_never_goes_away(
    make: Make, request: pytest.FixtureRequest
) -> None:
    ann, bo = make("ann"), make("bo")
    ann.give_up()

    with pytest.raises(Unavailable):
        ann.take(lanes(request))

    assert bo.take(lanes(request)).revisions


def test_releasing_what_was_taken_earlier_leaves_the_next_holders_lane_alone(
    make: Make, request: pytest.FixtureRequest
) -> None:
    ann, bo = make("ann"), make("bo")
    (lane,) = lanes(request)
    taken = ann.take([lane])

    bo.release({lane: taken.revisions[lane] - 1})

    assert bo.take([lane]).revisions == {}


def test_an_etcd_that_is_away_is_unavailable_within_a_bounded_time() -> None:
    leases = Leases(["http://127.0.0.1:1"], sender="ann", ttl_s=3)

    with pytest.raises(Unavailable):
        leases.begin()


@pytest.fixture
def members(servers: Servers) -> Iterator[list[Proxy]]:
    """Three ways to etcd, as three members are."""
    ways = [Proxy(servers.ports.etcd) for _ in range(3)]
    yield ways
    for way in ways:
        way.close()


@pytest.mark.parametrize("how", [Way.CUT, Way.FROZEN])
def test_whichever_members_are_dead_or_frozen_the_others_are_asked(members: list[Proxy], how: Way) -> None:
    leases = Leases([f"http://127.0.0.1:{way.port}" for way in members], sender="ann", ttl_s=10)
    leases.begin()

    for well in members:
        for way in members:
            way.way = Way.OPEN if way is well else how
        began = time.monotonic()
        assert leases.keep_alive()
        assert leases.confirm()
        assert time.monotonic() - began < 5

    leases.end()
    leases.close()


def test_an_etcd_that_was_away_for_long_is_asked_again_at_once_when_it_is_back(members: list[Proxy]) -> None:
    """A client that pauses longer and longer between its attempts would miss it for up to two minutes."""
    way = members[0]
    leases = Leases([f"http://127.0.0.1:{way.port}"], sender="ann", ttl_s=30)
    leases.begin()
    way.way = Way.CUT
    away_until = time.monotonic() + 6
    while time.monotonic() < away_until:
        with pytest.raises(Unavailable):
            leases.confirm()
        time.sleep(0.2)

    way.way = Way.OPEN

    wait_for(lambda: _answers(leases), within_s=1, what="etcd is asked again")
    leases.end()
    leases.close()


def _answers(leases: Leases) -> bool:
    try:
        return leases.confirm()
    except Unavailable:
        return False


def test_lanes_are_listed_however_many_there_are(make: Make, request: pytest.FixtureRequest) -> None:
    """Long names stand for many: what counts is that the answer is longer than gRPC takes by itself, 4 MB."""
    ann = make("ann" * 6_000)
    wanted = lanes(request, 250)

    ann.take(wanted)

    assert {key.lane for key in ann.keys_of_ours() or ()} == set(wanted)
