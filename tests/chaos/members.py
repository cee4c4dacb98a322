"""Faults of clusters: one of three members is killed, frozen or cut off, and repaired; the others go on.

A deck holds each as often as it is wanted, leaders as well as followers, in an order that the seed decides. Redis'
master is also cut off from the Sentinels and replicas alone: it is replaced, does not know it, and goes on answering
the senders that are connected to it.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Final

from tests.chaos.proxy import Way
from tests.chaos.world import World
from tests.support.clusters import Clusters
from tests.support.member import Member
from tests.support.system import wait_for

KINDS: Final = ("killed", "frozen", "cut off")
STORES: Final = ("mongo", "etcd", "redis")
UNAWARES: Final = "replaced and does not know it"
_WORK_S: Final = 30.0
_ELECTION_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Card:
    """One fault of one member."""

    kind: str
    store: str
    leader: bool

    @property
    def name(self) -> str:
        return f"{self.store}: {'the leader' if self.leader else 'a follower'} is {self.kind}"


@dataclass(frozen=True, slots=True)
class Played:
    """A fault that was done: how many dispatches were in their senders' hands when it began, and how long it took
    from its repair until all members were well."""

    card: Card
    in_flight: int
    repaired_s: float


def deck(each: int, rng: random.Random) -> list[Card]:
    """Each kind of fault for each role so many times, shared by the stores."""
    roles = enumerate(product(KINDS, (True, False)))
    cards = [
        Card(kind, STORES[(place + place // 2 + number) % len(STORES)], leader)
        for (place, (kind, leader)), number in product(roles, range(each))
    ]
    cards += [Card(UNAWARES, "redis", leader=True)] * each
    rng.shuffle(cards)
    return cards


def play(world: World, card: Card, meanwhile: Callable[[], object]) -> Played:
    """Break one member with calls in flight, let `meanwhile` happen, and repair it."""
    clusters = world.servers
    assert isinstance(clusters, Clusters)
    member = wait_for(lambda: _member(clusters, card, world.rng), within_s=_ELECTION_S, what=card.name)
    in_flight = with_calls_in_flight(world)
    repair = _BREAKS[card.kind](world, clusters, member)
    meanwhile()
    time.sleep(_outage_s(world, card))
    repair()
    repaired = time.monotonic()
    clusters.wait_until_well([member, *clusters.others(member)])
    return Played(card, in_flight, round(time.monotonic() - repaired, 1))


def _member(clusters: Clusters, card: Card, rng: random.Random) -> Member | None:
    leader = clusters.leader(card.store)
    if leader is None or card.leader:
        return leader
    return rng.choice(clusters.others(leader))


def with_calls_in_flight(world: World) -> int:
    """How many dispatches are in senders' hands, once there are any."""
    deadline = time.monotonic() + _WORK_S
    count = 0
    while not count and time.monotonic() < deadline:
        world.keep_senders()
        count = world.system.db.dispatches.count_documents({"state": "sending", "lane": {"$gt": ""}})
        time.sleep(0.02)
    return count


def _outage_s(world: World, card: Card) -> float:
    """Frozen and cut off: beyond the lease's time, so that its holders are lost where it alone could renew them."""
    if card.kind == "killed":
        return world.rng.uniform(0.5, 4.0)
    return world.lease_ttl_s + world.rng.uniform(0.5, 2.0)


def _kill(_world: World, _clusters: Clusters, member: Member) -> Callable[[], None]:
    member.kill()
    return member.start


def _freeze(_world: World, _clusters: Clusters, member: Member) -> Callable[[], None]:
    member.freeze()
    return member.thaw


def _cut_off(world: World, clusters: Clusters, member: Member) -> Callable[[], None]:
    clusters.cut_off(member, world.rng.choice((Way.CUT, Way.FROZEN)))
    return lambda: clusters.let_in(member)


def _replace_unawares(_world: World, clusters: Clusters, member: Member) -> Callable[[], None]:
    clusters.sentinels.part(member)
    clusters.sentinels.wait_for_another(member)
    return lambda: clusters.sentinels.heal(member)


_BREAKS: Final[dict[str, Callable[[World, Clusters, Member], Callable[[], None]]]] = {
    "killed": _kill,
    "frozen": _freeze,
    "cut off": _cut_off,
    UNAWARES: _replace_unawares,
}
