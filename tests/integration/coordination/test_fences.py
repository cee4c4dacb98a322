"""Fences in a real Redis: who may call, and what is remembered."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from redis import Redis

from local.servers import Servers
from mailroom.coordination.fences import Fences
from mailroom.coordination.mirror import Mirror
from mailroom.domain.dispatches.fences import Fence, FenceAnswer, FenceState
from mailroom.domain.dispatches.model import Acceptance, Claimed
from mailroom.domain.dispatches.outcomes import CalledAt
from mailroom.domain.errors import MisconfiguredStore
from mailroom.domain.ids import ClaimId, Lane, Token
from mailroom.services.dispatching.fences import cross_fences
from tests.support.builders import NOW, a_claimed


@pytest.fixture
def fences(servers: Servers, request: pytest.FixtureRequest) -> Iterator[Fences]:
    made = Fences(servers.redis_url, of="tests")
    yield made
    made.close_client()


@pytest.fixture
def lane(request: pytest.FixtureRequest) -> str:
    return f"schedule/{request.node.name}"


def accepted(provider_id: str) -> Acceptance:
    return Acceptance("mailgun", provider_id, 1)


def cross(fences: Fences, *dispatches: Claimed) -> list[FenceAnswer]:
    verdicts, _ = fences.cross({d.claim.id: [d] for d in dispatches})
    return [verdicts[d] for d in dispatches]


def test_a_first_crossing_may_call(fences: Fences, lane: str) -> None:
    (verdict,) = cross(fences, a_claimed(lane=lane))

    assert verdict.go


def test_the_same_claim_may_cross_again_because_its_answer_can_get_lost(fences: Fences, lane: str) -> None:
    cross(fences, a_claimed(lane=lane))

    (verdict,) = cross(fences, a_claimed(lane=lane))

    assert verdict.go


def test_another_claim_of_the_same_attempt_is_in_doubt(fences: Fences, lane: str) -> None:
    cross(fences, a_claimed(lane=lane, claim="c1"))

    (verdict,) = cross(fences, a_claimed(lane=lane, claim="c2", token=6))

    assert not verdict.go
    assert verdict.accepted is None


def test_a_lower_token_than_the_lane_has_seen_is_stale(fences: Fences, lane: str) -> None:
    fences.enter({Lane(lane): Token(9)})

    (verdict,) = cross(fences, a_claimed(lane=lane, token=8))

    assert verdict.stale


def test_a_new_attempt_may_cross_once_the_earlier_crossing_is_known_not_to_have_been_accepted(
    fences: Fences, lane: str
) -> None:
    cross(fences, a_claimed(lane=lane, claim="c1", attempt=1))

    (unsettled,) = cross(fences, a_claimed(lane=lane, claim="c2", attempt=2))
    (other,) = cross(fences, a_claimed(lane=lane, claim="c3", attempt=3, cleared=(ClaimId("c2"),)))
    (settled,) = cross(fences, a_claimed(lane=lane, claim="c4", attempt=4, cleared=(ClaimId("c1"),)))

    assert (unsettled.go, other.go, settled.go) == (False, False, True)
    assert unsettled.crossed_by == "c1"


def test_what_was_released_may_be_crossed_by_any_attempt(fences: Fences, lane: str) -> None:
    first = a_claimed(lane=lane, claim="c3", attempt=3)
    cross(fences, first)
    fences.release([first])

    (verdict,) = cross(fences, a_claimed(lane=lane, claim="c1", attempt=1))  # by an older copy of MongoDB

    assert verdict.go


def test_what_was_accepted_is_never_called_again_by_any_attempt(fences: Fences, lane: str) -> None:
    first = a_claimed(lane=lane)
    cross(fences, first)
    fences.close([(first, accepted("id-1"))])

    (verdict,) = cross(fences, a_claimed(lane=lane, claim="c9", attempt=9, token=99))

    assert verdict.accepted == (1, "id-1")


def test_an_acceptance_under_another_content_is_in_doubt(fences: Fences, lane: str) -> None:
    first = a_claimed(lane=lane)
    cross(fences, first)
    fences.close([(first, accepted("id-1"))])

    (verdict,) = cross(fences, a_claimed(lane=lane, claim="c2", attempt=2, digest="other"))

    assert (verdict.go, verdict.accepted) == (False, None)


@pytest.mark.parametrize("second", [Acceptance("mailgun", "id-2", 1), Acceptance("mailgun", "id-1", 2)])
def test_a_second_acceptance_is_reported_and_the_first_one_stays(fences: Fences, lane: str, second: Acceptance) -> None:
    lane = f"{lane}-{second.provider_id}"
    first = a_claimed(lane=lane)
    cross(fences, first)
    fences.close([(first, accepted("id-1"))])

    twice = fences.close([(a_claimed(lane=lane, claim="c2", attempt=second.attempt), second)])

    assert twice == [first.id]
    found, _ = fences.read([(Lane(lane), first.id)])
    assert found[first.id].provider_id == "id-1"


def test_a_release_is_bound_to_the_claim_that_crossed(fences: Fences, lane: str) -> None:
    cross(fences, a_claimed(lane=lane, claim="c1"))

    fences.release([a_claimed(lane=lane, claim="c2")])

    found, _ = fences.read([(Lane(lane), a_claimed().id)])
    assert found[a_claimed().id].state is FenceState.CROSSED


def test_what_was_split_is_never_called_again_and_says_so(fences: Fences, lane: str) -> None:
    cross(fences, a_claimed(lane=lane))
    fences.split([(a_claimed(lane=lane), 1)])

    (again,) = cross(fences, a_claimed(lane=lane, claim="c2", attempt=2, token=6))
    (other,) = cross(fences, a_claimed(lane=lane, claim="c3", attempt=3, token=7, digest="other"))

    assert (again.split, again.go) == (True, False)
    assert (other.split, other.go) == (False, False)


def test_a_split_is_bound_to_the_claim_that_crossed(fences: Fences, lane: str) -> None:
    cross(fences, a_claimed(lane=lane, claim="c1"))

    (answer,) = fences.split([(a_claimed(lane=lane, claim="c2"), 1)])

    assert isinstance(answer, FenceAnswer)
    assert answer.crossed_by == "c1"
    found, _ = fences.read([(Lane(lane), a_claimed().id)])
    assert found[a_claimed().id].state is FenceState.CROSSED


def test_what_was_accepted_is_not_split(fences: Fences, lane: str) -> None:
    first = a_claimed(lane=lane)
    cross(fences, first)
    fences.close([(first, accepted("id-1"))])

    (answer,) = fences.split([(a_claimed(lane=lane, claim="c2", attempt=2), 1)])

    assert answer == FenceAnswer(accepted=(1, "id-1"), called_at=CalledAt("mailgun", "mg.example.com"))


def test_an_acceptance_of_what_was_refused_and_split_is_reported(fences: Fences, lane: str) -> None:
    cross(fences, a_claimed(lane=lane))
    fences.split([(a_claimed(lane=lane), 1)])

    assert fences.close([(a_claimed(lane=lane), accepted("id-1"))]) == [a_claimed().id]


def test_a_released_fence_says_so(fences: Fences, lane: str) -> None:
    claimed = a_claimed(lane=lane)
    cross(fences, claimed)

    fences.release([claimed])

    found, _ = fences.read([(Lane(lane), claimed.id)])
    assert found[claimed.id].state is FenceState.RELEASED


def test_a_token_of_a_lane_only_grows(fences: Fences, lane: str) -> None:
    fences.enter({Lane(lane): Token(7)})

    entered, _ = fences.enter({Lane(lane): Token(6)})

    assert entered == set()
    assert fences.seen_token(Lane(lane)) == 7


def test_a_token_keeps_every_digit_beyond_forty_bits(fences: Fences, lane: str) -> None:
    token = Token(3 * 2**40 + 123_456_789)

    fences.enter({Lane(lane): token})

    assert fences.seen_token(Lane(lane)) == token


def test_a_redis_that_was_emptied_while_it_ran_has_another_identity(tmp_path: Path) -> None:
    with Servers.start(tmp_path) as own:
        fences = Fences(own.redis_url, of="tests")
        before = fences.redis_identity()
        assert fences.redis_identity() == before

        Redis.from_url(own.redis_url).flushall()

        assert fences.redis_identity() != before


def test_the_time_since_which_redis_remembers_is_not_by_the_clock_of_the_asker(tmp_path: Path) -> None:
    """After a restore, a Redis that seems to remember longer than it does would be believed."""
    with Servers.start(tmp_path) as own:
        before = datetime.now(UTC) - timedelta(milliseconds=1)
        with time_machine.travel(before - timedelta(days=1)):
            Fences(own.redis_url, of="tests").redis_identity()

        since = Mirror(own.redis_url, of="any").memory_since()

        assert before <= since <= datetime.now(UTC)


def test_a_redis_that_was_started_again_remembers_only_since_then_for_every_asker(tmp_path: Path) -> None:
    """It may have been started on an older copy of itself."""
    with Servers.start(tmp_path) as own:
        Fences(own.redis_url, of="tests").redis_identity()
        assert own.redis is not None
        own.redis.stop(grace_s=10)
        own.start_redis()
        own.wait_until_healthy()
        started = datetime.now(UTC)

        since = Mirror(own.redis_url, of="any").memory_since()
        assert since >= started - timedelta(milliseconds=1)


def test_a_redis_that_may_throw_fences_away_is_refused(tmp_path: Path) -> None:
    with Servers.start(tmp_path) as own:
        fences = Fences(own.redis_url, of="tests")
        fences.check_server()
        redis = Redis.from_url(own.redis_url)
        redis.config_set("maxmemory", "100mb")
        redis.config_set("maxmemory-policy", "volatile-lru")

        with pytest.raises(MisconfiguredStore, match="noeviction"):
            fences.check_server()


def test_two_claims_of_one_dispatch_in_the_same_bulk_get_a_verdict_each(fences: Fences, lane: str) -> None:
    _, redis_identity = fences.enter({Lane(lane): Token(5)})
    old = a_claimed(claim="old", token=5, attempt=1, lane=lane, redis_identity=redis_identity)
    fences.enter({Lane(lane): Token(6)})
    new = a_claimed(claim="new", token=6, attempt=2, lane=lane, redis_identity=redis_identity)

    crossing = cross_fences(fences, [old, new])

    assert (crossing.go, crossing.stale) == ([new], [old])


def test_a_doubt_says_since_when_it_may_have_been_called(fences: Fences, lane: str) -> None:
    earlier = NOW - timedelta(days=3)
    cross(fences, a_claimed(lane=lane, claim="c1", claimed_at=earlier))

    (verdict,) = cross(fences, a_claimed(lane=lane, claim="c2", token=6))

    assert (verdict.go, verdict.crossed_at) == (False, earlier)


def test_a_doubt_names_the_providers_that_may_have_carried_it(fences: Fences, lane: str) -> None:
    cross(fences, a_claimed(lane=lane, claim="c1", provider="sendgrid", account="there"))

    (verdict,) = cross(fences, a_claimed(lane=lane, claim="c2", token=6))

    assert verdict.called_at == CalledAt("sendgrid", "there")


def test_where_a_call_went_is_remembered_beyond_redis(fences: Fences, lane: Lane) -> None:
    crossed = Fence(FenceState.CROSSED, 1, ClaimId("c1"), "digest-1", "", NOW, CalledAt("sendgrid", "there"))
    again = a_claimed(lane=lane, claim="c2")

    fences.seed([(again, crossed)])

    assert fences.cross({again.claim.id: [again]})[0][again].called_at == CalledAt("sendgrid", "there")


def test_what_redis_is_reminded_of_counts_only_where_it_knows_nothing_itself(fences: Fences, lane: Lane) -> None:
    done = Fence(FenceState.DONE, 1, ClaimId("c1"), "digest-1", "id-1", NOW)
    split = Fence(FenceState.SPLIT, 1, ClaimId("c1"), "digest-1", "3")
    crossed_itself = a_claimed(lane=lane, dispatch="d3", claim="c9")
    fences.cross({crossed_itself.claim.id: [crossed_itself]})
    known = [a_claimed(lane=lane, dispatch=f"d{n}", claim="c2", attempt=2) for n in (1, 2, 3)]

    fences.seed([(known[0], done), (known[1], split), (known[2], done)])

    verdicts = fences.cross({known[0].claim.id: known})[0]
    assert verdicts[known[0]].accepted == (1, "id-1")
    assert verdicts[known[1]].split
    assert fences.split([(known[1], 8)]) == [3]
    assert (verdicts[known[2]].go, verdicts[known[2]].crossed_by) == (False, "c9")
