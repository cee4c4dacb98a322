"""Any sequence of uses of the fences: the scripts in a real Redis answer as their model, and keep what they promise.

The model is the one that the interleavings are explored with (tests/interleavings/fences.py).
"""

import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from local.servers import Servers
from mailroom.coordination.fences import Fences
from mailroom.coordination.holds import Holds
from mailroom.domain.dispatches.fences import FenceAnswer, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.holds import Hold
from mailroom.domain.ids import ClaimId, DispatchId, Lane, RunId, Token
from tests.interleavings.fences import MemoryFences, MemoryHolds
from tests.support.builders import a_claimed

LANES = {"a": ("a1", "a2"), "b": ("b1",)}
BIG = 3 * 2**40  # tokens as they are: an epoch above forty bits

ALL = ("a1", "a2", "b1")

lanes = st.sampled_from(sorted(LANES))
ids = st.sampled_from(ALL)
digests = st.sampled_from([*["digest-1"] * 9, "other"])
provider_ids = st.sampled_from(["id-1", "id-1", "id:2", ""])
places = st.sampled_from([0, 0, 1, 1, 2, 4])  # counted from the newest
rarely = st.sampled_from([False, False, False, True])


class FenceMachine(RuleBasedStateMachine):
    """Senders take lanes with growing tokens, claim with growing attempts, now and then again with the same one, and
    use their claims in any order, however late."""

    redis: ClassVar[Fences]
    holds: ClassVar[Holds]

    def __init__(self) -> None:
        super().__init__()
        self.model = MemoryFences()
        self.prefix = f"schedule/machine-{secrets.token_hex(6)}"
        self.next_token = BIG
        self.tokens: dict[str, list[int]] = {lane: [] for lane in LANES}
        self.claims: dict[str, list[Claimed]] = {id_: [] for id_ in ALL}
        self.open: dict[tuple[Lane, DispatchId], ClaimId] = {}  # crossings of which nothing is known yet
        self.entered: dict[Lane, int] = {}
        self.done: set[tuple[Lane, DispatchId]] = set()
        self.run_id = RunId(f"run-{self.prefix}")
        self.model_holds = MemoryHolds(self.model)
        self.number = 0  # of the run's hold
        self.held = False

    @rule(lane=lanes, older=places, fresh=st.booleans())
    def enter(self, lane: str, older: int, fresh: bool) -> None:
        """Mostly a new, higher token; or one of the old ones again, late."""
        if fresh or not self.tokens[lane]:
            self.next_token += 1
            self.tokens[lane].append(self.next_token)
            token = self.next_token
        else:
            token = self.tokens[lane][older % len(self.tokens[lane])]
        wanted = {self.name(lane): Token(token)}

        entered = self.redis.enter(wanted)[0]

        assert entered == self.model.enter(wanted)[0]
        if entered:
            self.entered[self.name(lane)] = max(self.entered.get(self.name(lane), 0), token)

    @rule(id_=ids, overtaken=rarely, digest=digests, again=st.booleans(), at_once=st.booleans(), settled=st.booleans())
    def claim(self, id_: str, overtaken: bool, digest: str, again: bool, at_once: bool, settled: bool) -> None:
        """`overtaken`: under the lane's last token but one; `again`: of the attempt that was claimed before; `settled`:
        MongoDB knows that the crossing that stands was not accepted."""
        tokens, earlier = self.tokens[id_[0]] or [BIG], self.claims[id_]
        attempt = earlier[-1].attempt if earlier else 0
        made = a_claimed(
            dispatch=id_,
            claim=f"c{len(earlier)}-of-{id_}",
            token=tokens[-2:][0 if overtaken else -1],
            attempt=attempt if again and earlier else attempt + 1,
            lane=self.name(id_[0]),
            digest=digest,
            run_id=self.run_id,
            cleared=self.settled(id_) if settled else (),
        )
        earlier.append(made)
        if at_once:
            self.cross([made])

    @rule(lift=st.booleans(), older=places)
    def hold(self, lift: bool, older: int) -> None:
        """A run is paused or resumed, or a change of before comes late."""
        self.number += 1 + (lift is (self.number % 2 == 0))
        hold = Hold(self.run_id, max(1, self.number - older), "ann")

        self.holds.mirror(hold)
        self.model_holds.mirror(hold)

        stands, _ = self.holds.read(self.run_id)
        self.held = stands.held
        assert stands == self.model_holds.read(self.run_id)[0]

    @rule(older=st.fixed_dictionaries(dict.fromkeys(ALL, places)))
    def cross_several(self, older: dict[str, int]) -> None:
        """In one round trip, a claim of each dispatch that has one."""
        self.cross([self.pick(id_, place) for id_, place in older.items() if self.claims[id_]])

    def cross(self, claims: list[Claimed]) -> None:
        by_id = {claimed.id: claimed for claimed in claims}
        groups = {c.claim.id: [c] for c in by_id.values()}

        verdicts = self.redis.cross(groups)[0]

        for claimed in by_id.values():
            self.judge(claimed, verdicts[claimed])
        assert verdicts == self.model.cross(groups)[0]

    @rule(id_=ids, older=places, provider_id=provider_ids, earlier=rarely, now=rarely)
    def close(self, id_: str, older: int, provider_id: str, earlier: bool, now: bool) -> None:
        """A fact, whoever tells it; sometimes about an earlier attempt than its own. Not too often: it ends much."""
        if not self.claims[id_] or not (now or self.shown(self.claims[id_][-1]).state is FenceState.DONE):
            return
        claimed = self.pick(id_, older)
        yes = Acceptance("mailgun", provider_id, max(1, claimed.attempt - earlier))

        twice = self.redis.close([(claimed, yes)])

        assert twice == self.model.close([(claimed, yes)])
        if self.shown(claimed).state is FenceState.DONE:
            self.done.add((claimed.claim.lane, claimed.id))

    @rule(id_=ids, older=places, split=rarely, most=places)
    def release_or_split(self, id_: str, older: int, split: bool, most: int) -> None:
        if not self.claims[id_]:
            return
        claimed = self.pick(id_, older)
        before = self.shown(claimed)
        if split:
            assert self.redis.split([(claimed, most + 1)]) == self.model.split([(claimed, most + 1)])
        else:
            assert self.redis.release([claimed]) == self.model.release([claimed])

        after = self.shown(claimed)

        if before.state is FenceState.CROSSED and after.state is not FenceState.CROSSED:
            assert before.claim_id in (claimed.claim.id, *claimed.cleared)
            del self.open[claimed.claim.lane, claimed.id]

    @invariant()
    def redis_shows_what_the_model_shows(self) -> None:
        every = [(self.name(lane), DispatchId(id_)) for lane, dispatches in LANES.items() for id_ in dispatches]
        assert self.redis.read(every)[0] == self.model.read(every)[0]
        for lane in LANES:
            assert self.redis.seen_token(self.name(lane)) == self.model.seen_token(self.name(lane))

    def judge(self, claimed: Claimed, verdict: FenceAnswer) -> None:
        """What must hold whatever the model says."""
        lane, which = claimed.claim.lane, (claimed.claim.lane, claimed.id)
        if claimed.claim.token < self.entered.get(lane, 0):
            assert verdict == FenceAnswer(stale=True), "a higher token was entered"
            return
        self.entered[lane] = claimed.claim.token  # a crossing brings its token too
        if which in self.done:
            assert not verdict.go, "what was accepted goes again"
        assert not (verdict.go and self.held), "what is held goes"
        if verdict.go:
            stands = self.open.get(which, claimed.claim.id)
            assert stands in (claimed.claim.id, *claimed.cleared), "a crossing of which nothing is known is passed over"
            self.open[which] = claimed.claim.id

    def settled(self, id_: str) -> tuple[ClaimId, ...]:
        """What MongoDB may know of: the crossing that stands, after one that is long over."""
        stands = self.open.get((self.name(id_[0]), DispatchId(id_)))
        return (ClaimId("long-over"), stands) if stands else ()

    def pick(self, id_: str, older: int) -> Claimed:
        return self.claims[id_][-1 - older % len(self.claims[id_])]

    def shown(self, claimed: Claimed) -> Any:
        return self.redis.read([(claimed.claim.lane, claimed.id)])[0][claimed.id]

    def name(self, lane: str) -> Lane:
        return Lane(f"{self.prefix}-{lane}")


@pytest.fixture
def redis(servers: Servers) -> Iterator[Fences]:
    made = Fences(servers.redis_url, of="tests")
    yield made
    made.close_client()


def test_the_scripts_answer_as_their_model_and_let_nobody_go_twice(redis: Fences, servers: Servers) -> None:
    holds = Holds(servers.redis_url, of="tests")
    machine = type("Machine", (FenceMachine,), {"redis": redis, "holds": holds})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=160,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate],  # a story is short as it is; making it shorter takes minutes with a real Redis
            suppress_health_check=list(HealthCheck),
        ),
    )
