"""The three fail-overs, each in its ways: a leader that is lost, and an etcd that has no quorum."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from pymongo.errors import OperationFailure

from tests.chaos.world import World
from tests.support.clusters import Clusters, etcd_is_well
from tests.support.member import Member
from tests.support.system import wait_for

WAYS: Final = {
    "redis": ("master killed", "master frozen"),
    "etcd": ("two of three killed", "two of three frozen"),
    "mongo": ("primary killed", "primary frozen", "primary stepped down"),
}
_ELECTION_S: Final = 60.0
_ASK_QUORUM_S: Final = 0.3
_STEPS_DOWN_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Broken:
    """What was done: the moment of its first signal, who led the store until then, and who is to be brought back."""

    at: float
    leader: Member
    away: tuple[Member, ...]
    bring_back: Callable[[], None]


def break_store(world: World, store: str, way: str) -> Broken:
    """Take the leader of a store away; of etcd two members, its leader among them or not."""
    clusters = world.servers
    assert isinstance(clusters, Clusters)
    if store == "redis":
        leader = clusters.sentinels.master
    else:
        leader = wait_for(lambda: clusters.leader(store), within_s=_ELECTION_S, what=f"{store} has a leader")
    if way == "primary stepped down":
        return _step_down(clusters, leader)
    members = [leader]
    if store == "etcd":
        members = world.rng.sample([leader, *clusters.others(leader)], 2)
    began = time.time()
    for member in members:
        member.freeze() if way.endswith("frozen") else member.kill()
    return Broken(began, leader, tuple(members), partial(_bring_back, members, way))


def wait_for_another_leader(clusters: Clusters, was: Member) -> float:
    """The moment at which one of the others leads the store."""
    others = clusters.others(was)
    wait_for(lambda: any(other.is_leader() for other in others), within_s=_ELECTION_S, what="another one leads")
    return time.time()


def wait_for_quorum(clusters: Clusters, *, within_s: float = _ELECTION_S) -> float:
    """The moment at which a member of etcd says that it has a quorum again; up to a third of a second late."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        for member in clusters.etcds:
            if _has_quorum(member):
                return time.time()
        time.sleep(0.02)
    raise AssertionError(f"etcd has no quorum within {within_s:.0f} s")


def _has_quorum(member: Member) -> bool:
    try:
        return etcd_is_well(member.port, within_s=_ASK_QUORUM_S)
    except (OSError, ValueError, KeyError):
        return False


def _bring_back(members: list[Member], way: str) -> None:
    for member in members:
        member.thaw() if way.endswith("frozen") else member.start()


def _step_down(clusters: Clusters, primary: Member) -> Broken:
    asked_at = 0.0

    def step_down() -> bool:
        """Refused while no other member has caught up."""
        nonlocal asked_at
        asked_at = time.time()
        try:
            clusters.step_down(primary)
        except OperationFailure:
            return False
        return True

    wait_for(step_down, within_s=_STEPS_DOWN_S, what="the primary steps down")
    return Broken(asked_at, primary, (), lambda: None)
