"""What a sender's lease holds in etcd and what it has in hand are the same set, or are made so, whatever gets lost.

A real etcd behind a proxy, a real MongoDB and Redis; the pump's rounds and the heartbeat are done one at a time, in the
order that a test wants.
"""

import dataclasses
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.assembly.sender import build_sender_services
from mailroom.coordination.etcd import Etcd
from mailroom.coordination.fences import Fences
from mailroom.coordination.leases import Leases
from mailroom.domain.dispatches.model import NewDispatch
from mailroom.domain.errors import Unavailable
from mailroom.domain.ids import DispatchId, Lane, RunId, ScheduleId
from mailroom.domain.lane_names import mail_lanes
from mailroom.services.common.clock import Clocks
from mailroom.storage.dispatches import document as dispatches
from sender.duties import keep_alive
from sender.in_flight import InFlight
from sender.lanes import Lanes
from sender.loop import Loop
from sender.presence import Presence
from tests.chaos.proxy import Proxy, Way
from tests.support.clusters import Clusters
from tests.support.system import System, wait_for

TTL_S = 6
MAILS = frozenset(mail_lanes(4))
ANNOUNCED, TAKEN, RELEASED = "announce us", "take lanes", "release lanes"


class LosesAnswers(Etcd):
    """Does as it is asked, and the answer to some transactions gets lost; or does it only when `arrive` is called."""

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(urls)
        self.lose, self.late = "", ""  # the purpose of the next transaction that this is done to
        self._waiting: list[Callable[[], Any]] = []

    def transaction(self, operations: Sequence[Any], *, purpose: str) -> Any:
        if purpose == self.late:
            self.late = ""
            self._waiting.append(lambda: super(LosesAnswers, self).transaction(operations, purpose=purpose))
            raise Unavailable("no answer in time")
        answer = super().transaction(operations, purpose=purpose)
        if purpose == self.lose:
            self.lose = ""
            raise Unavailable("the answer got lost")
        return answer

    def arrive(self) -> None:
        for request in self._waiting:
            request()
        self._waiting.clear()


class OneSender:
    """Its pump and its heartbeat, on a clock and a way to etcd that the test holds."""

    def __init__(self, system: System, name: str, clusters: Clusters | None) -> None:
        self.way = Proxy(system.servers.ports.etcd)
        self.late_s = 0.0
        self.name = f"{name}-{secrets.token_hex(3)}"
        urls = clusters.etcd_url.split(",") if clusters else [f"http://127.0.0.1:{self.way.port}"]
        self.leases = Leases(urls, sender=self.name, ttl_s=TTL_S, monotonic=lambda: time.monotonic() + self.late_s)
        self.etcd = self.leases._etcd = LosesAnswers(urls)
        self.services = dataclasses.replace(
            build_sender_services(system.settings, sender=self.name), leases=self.leases
        )
        if clusters:  # whose revisions are lower than those that the other Redis has seen
            self.services = dataclasses.replace(
                self.services, fences=Fences(clusters.redis_url, of=self.services.db.name)
            )
        self.in_flight = InFlight(always=MAILS)
        self.lanes = Lanes(self.services, self.in_flight, sender=self.name)
        claimer: Any = SimpleNamespace(send=lambda _now: 0)
        guard: Any = SimpleNamespace(is_held=lambda: False, recheck=lambda: None)
        planner: Any = SimpleNamespace(busy_s=0.0)
        presence = Presence(self.services, self.in_flight, sender=self.name)
        clocks = Clocks(self.services.db)
        self.loop = Loop(
            self.services,
            self.in_flight,
            self.lanes,
            guard,
            claimer,
            planner,
            presence,
            clocks,
            sender=self.name,
            taken=lambda: None,
        )

    def round(self) -> None:
        try:
            self.loop.step()
        except Unavailable:
            return

    def beat(self) -> None:
        keep_alive(self.services, self.loop.idle_s)

    def holds(self, lanes: Sequence[Lane] | frozenset[Lane]) -> bool:
        """One more round, with its heartbeat; then: are all of these in hand?"""
        self.beat()
        self.round()
        return set(lanes) <= set(self.in_flight.tokens())

    def close(self) -> None:
        self.way.way = Way.OPEN
        self.leases.end()
        self.leases.close()
        self.way.close()


Make = Callable[..., OneSender]


@pytest.fixture
def make(system: System) -> Iterator[Make]:
    made: list[OneSender] = []

    def one(name: str, clusters: Clusters | None = None) -> OneSender:
        made.append(OneSender(system, name, clusters))
        return made[-1]

    yield one
    for sender in made:
        sender.close()


@pytest.fixture
def work(system: System) -> frozenset[Lane]:
    """The lanes of two schedules in which something is to be sent, and those of single mails."""
    found = []
    for number in range(2):
        schedule = ScheduleId(f"sch_{secrets.token_hex(4)}")
        lane, id_ = Lane(f"schedule/{schedule}"), DispatchId(f"run-{secrets.token_hex(4)}-d0")
        new = NewDispatch(id_, RunId(id_.partition("-d")[0]), schedule, lane, number, 1, 1, "digest")
        dispatches.add_many(system.db, [new], now=datetime.now(UTC), session=None)  # type: ignore[arg-type]
        found.append(lane)
    return MAILS | set(found)


def test_a_lease_given_up_while_etcd_was_away_holds_nothing_when_it_is_back(make: Make, work: frozenset[Lane]) -> None:
    ann = make("ann")
    wait_for(lambda: ann.holds(work), within_s=10, what="all lanes are taken")

    ann.way.way, ann.late_s = Way.CUT, TTL_S
    ann.round()  # the deadline is over: a new lease is wanted, and etcd does not answer
    ann.way.way = Way.OPEN
    ann.beat()

    wait_for(lambda: ann.holds(work), within_s=TTL_S + 5, what="all lanes are in hand again")


def test_a_sender_checks_in_after_a_completed_round_and_not_while_etcd_is_away(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, said = make("ann"), list[Sequence[Lane]]()
    checks_in = SimpleNamespace(check_in=lambda: said.append(sorted(ann.in_flight.tokens())))
    monkeypatch.setattr(ann.loop, "_presence", checks_in)
    wait_for(lambda: ann.holds(MAILS), within_s=10, what="all lanes are taken")
    assert said[-1] == sorted(MAILS)
    said.clear()

    ann.way.way, ann.late_s = Way.CUT, TTL_S
    ann.round()
    assert said == []

    ann.way.way, ann.late_s = Way.OPEN, 0.0
    monkeypatch.setattr(ann.loop, "_guard", SimpleNamespace(is_held=lambda: True))  # MongoDB is an older copy
    wait_for(lambda: ann.round() or said, within_s=10, what="it says that it is there, although it holds")
    assert said[-1] == []


def test_a_lease_given_up_while_mongodb_was_away_holds_nothing_either(
    make: Make, work: frozenset[Lane], monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = make("ann")
    wait_for(lambda: ann.holds(work), within_s=10, what="all lanes are taken")

    def away(_db: object) -> datetime:
        raise Unavailable("MongoDB did not answer")

    with monkeypatch.context() as patched:
        patched.setattr("sender.lanes.server_now", away)
        ann.late_s = TTL_S
        ann.round()
    ann.beat()

    wait_for(lambda: ann.holds(work), within_s=TTL_S + 5, what="all lanes are in hand again")


def test_a_heartbeats_answer_that_comes_after_the_lease_was_given_up_revives_nothing(make: Make) -> None:
    ann = make("ann")
    wait_for(lambda: ann.holds(MAILS), within_s=10, what="all lanes are taken")
    asked, given_up = threading.Event(), threading.Event()
    renew = ann.etcd.renew

    def slowly(lease_id: int) -> bool:
        answer = renew(lease_id)
        asked.set()
        given_up.wait(10)
        return answer

    ann.etcd.renew = slowly  # type: ignore[method-assign]
    heart = threading.Thread(target=ann.leases.keep_alive)
    heart.start()
    asked.wait(10)
    ann.leases.give_up()
    given_up.set()
    heart.join(10)

    assert not ann.leases.held
    assert not ann.leases.keep_alive()


@pytest.mark.parametrize("purpose", [ANNOUNCED, TAKEN, RELEASED])
def test_a_lost_answer_leaves_no_lane_in_nobodys_hands(make: Make, work: frozenset[Lane], purpose: str) -> None:
    ann = make("ann")
    ann.etcd.lose = purpose
    if purpose == RELEASED:
        wait_for(lambda: ann.holds(work), within_s=10, what="all lanes are taken")
        with pytest.raises(Unavailable):
            ann.lanes.give_back_all()

    wait_for(lambda: ann.holds(work), within_s=TTL_S + 5, what="all lanes are in hand")
    assert ann.etcd.lose == ""


def test_a_take_that_etcd_reads_late_does_not_keep_the_lane_from_others(make: Make) -> None:
    ann, bo = make("ann"), make("bo")
    ann.etcd.late = TAKEN
    ann.round()
    ann.lanes.reconcile()
    ann.etcd.arrive()

    def bo_has_its_share() -> bool:
        ann.leases.keep_alive()
        ann.lanes.reconcile_if_due()
        bo.beat()
        bo.round()
        return len(bo.in_flight.tokens()) == len(MAILS) // 2

    wait_for(bo_has_its_share, within_s=TTL_S + 5, what="the other sender has its share")
    assert ann.leases.keys_of_ours() == []


def test_a_release_that_etcd_reads_late_takes_nothing_from_the_next_holder(make: Make) -> None:
    ann = make("ann")
    wait_for(lambda: ann.holds(MAILS), within_s=10, what="all lanes are taken")
    ann.etcd.late = RELEASED
    with pytest.raises(Unavailable):
        ann.lanes.give_back_all()
    wait_for(lambda: ann.holds(MAILS), within_s=10, what="all lanes are taken again")

    ann.etcd.arrive()

    assert {key.lane for key in ann.leases.keys_of_ours() or []} == MAILS


def test_an_announcement_of_an_old_lease_that_etcd_reads_late_stops_nobody_for_long(make: Make) -> None:
    """It stands in the place of the new one, and goes with the old lease: a sender that could not confirm its lease
    would hold its lanes and open no connection, for ever."""
    ann = make("ann")
    ann.etcd.late = ANNOUNCED
    ann.round()
    revoke = ann.etcd.revoke
    ann.etcd.revoke = lambda _lease: None  # type: ignore[method-assign]
    wait_for(lambda: ann.holds(MAILS), within_s=10, what="all lanes are taken under another lease")
    ann.etcd.revoke = revoke  # type: ignore[method-assign]

    ann.etcd.arrive()

    wait_for(lambda: ann.holds(MAILS) and ann.leases.confirm(), within_s=TTL_S + 5, what="the lease is confirmed")


def test_a_lane_whose_key_went_is_dropped_and_taken_anew(make: Make) -> None:
    ann = make("ann")
    wait_for(lambda: ann.holds(MAILS), within_s=10, what="all lanes are taken")
    before = ann.in_flight.tokens()
    lane = sorted(MAILS)[0]
    ann.leases.release({key.lane: key.revision for key in ann.leases.keys_of_ours() or [] if key.lane == lane})

    ann.lanes.reconcile()
    assert lane not in ann.in_flight.tokens()

    wait_for(lambda: ann.holds(MAILS), within_s=TTL_S + 5, what="it is taken anew")
    assert ann.in_flight.tokens()[lane] > before[lane]


def test_a_lane_that_a_fence_refused_is_released_so_that_somebody_takes_it(make: Make) -> None:
    ann = make("ann")
    wait_for(lambda: ann.holds(MAILS), within_s=10, what="all lanes are taken")
    lane = sorted(MAILS)[0]

    ann.in_flight.drop_stale({lane: ann.in_flight.tokens()[lane]})

    wait_for(lambda: ann.holds(MAILS), within_s=TTL_S + 5, what="it is in hand again")


def test_while_nothing_goes_wrong_nothing_is_dropped_or_released(make: Make, work: frozenset[Lane]) -> None:
    ann = make("ann")
    wait_for(lambda: ann.holds(work), within_s=10, what="all lanes are taken")
    before = ann.in_flight.tokens()

    for _ in range(3):
        ann.lanes.reconcile()

    assert ann.in_flight.tokens() == before


@pytest.fixture
def etcd_cluster(tmp_path: Path) -> Iterator[Clusters]:
    with Clusters.of(tmp_path) as clusters:
        clusters.start_etcd()
        clusters.start_redis()
        clusters.wait_until_well(clusters.etcds)
        yield clusters


def test_lanes_come_back_after_etcd_was_without_a_majority(
    make: Make, work: frozenset[Lane], etcd_cluster: Clusters
) -> None:
    """While a sender takes lanes, keeps its lease alive, and begins anew."""
    ann = make("ann", etcd_cluster)
    wait_for(lambda: ann.holds(work), within_s=20, what="all lanes are taken")
    ann.lanes.give_back([sorted(work)[0]])

    frozen = etcd_cluster.etcds[:2]
    for member in frozen:
        member.freeze()
    ann.round()
    ann.beat()
    ann.late_s = TTL_S
    ann.round()
    for member in frozen:
        member.thaw()
    etcd_cluster.wait_until_well(etcd_cluster.etcds)
    ann.beat()

    wait_for(lambda: ann.holds(work), within_s=TTL_S + 5, what="all lanes are in hand again")


@pytest.mark.parametrize("how", ["killed", "frozen", "cut off"])
def test_a_sender_keeps_its_lanes_whatever_happens_to_etcds_leader(
    make: Make, etcd_cluster: Clusters, how: str
) -> None:
    ann = make("ann", etcd_cluster)
    wait_for(lambda: ann.holds(MAILS), within_s=20, what="all lanes are taken")
    leader = wait_for(lambda: etcd_cluster.leader("etcd"), within_s=20, what="etcd has a leader")

    if how == "killed":
        leader.kill()
    elif how == "frozen":
        leader.freeze()
    else:
        etcd_cluster.cut_off(leader, Way.FROZEN)

    etcd_cluster.wait_until_well(etcd_cluster.others(leader))
    # TTL + 5 s hold once etcd is well; on a loaded machine its members elect again and again.
    wait_for(lambda: ann.holds(MAILS) and ann.leases.held, within_s=60, what="all lanes are in hand")
    if how == "frozen":
        leader.thaw()
