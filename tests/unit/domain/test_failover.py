"""By which provider each waiting dispatch goes: a provider that takes less is relieved; no batch is cut for that."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from mailroom.domain.circuits import CircuitState
from mailroom.domain.dispatches.model import Claimable
from mailroom.domain.failover import ProviderChoice, Route, stands_aside_for
from mailroom.domain.ids import Lane, ScheduleId
from tests.support.builders import a_claimable

ORDER = ("mailgun", "smtp")
OPEN, HALF = CircuitState.OPEN, CircuitState.HALF


def mails(count: int) -> list[Claimable]:
    return [a_claimable(f"m{n}", lane=Lane("mail/0"), schedule_id=None) for n in range(count)]


def a_batch(messages: int) -> Claimable:
    return a_claimable("batch", lane=Lane("schedule/s"), schedule_id=ScheduleId("s"), messages=messages)


def parts(
    waiting: Sequence[Claimable],
    *,
    order: Sequence[str] = ORDER,
    probe: bool = True,
    sampled: Sequence[str] = (),
    **routes: Route,
) -> dict[str, list[str]]:
    usual = {"mailgun": Route(carries=1000), "smtp": Route(carries=1)} | routes
    samples = list(sampled)

    def sample(name: str) -> bool:
        if name in samples:
            samples.remove(name)
            return True
        return False

    divided = ProviderChoice(usual, lambda _: probe, sample).divide(waiting, lambda _: order)
    return {name: [dispatch.id for dispatch in part] for name, part in divided.items()}


def test_all_go_by_the_first_that_works() -> None:
    assert parts(mails(3)) == {"mailgun": ["m0", "m1", "m2"]}
    assert parts(mails(2), mailgun=Route(1000, OPEN)) == {"smtp": ["m0", "m1"]}
    assert parts(mails(2), mailgun=Route(1000, reachable=False)) == {"smtp": ["m0", "m1"]}


def test_a_provider_that_recovers_gets_one_as_a_probe() -> None:
    assert parts(mails(3), mailgun=Route(1000, HALF)) == {"mailgun": ["m0"], "smtp": ["m1", "m2"]}
    assert parts(mails(2), mailgun=Route(1000, HALF), probe=False) == {"smtp": ["m0", "m1"]}


def test_while_a_provider_asks_to_wait_the_next_one_gets_its_mail() -> None:
    assert parts(mails(2), mailgun=Route(1000, room=0)) == {"smtp": ["m0", "m1"]}


def test_what_exceeds_the_rate_of_a_provider_goes_by_the_next_one() -> None:
    assert parts(mails(3), mailgun=Route(1000, room=2)) == {"mailgun": ["m0", "m1"], "smtp": ["m2"]}


def test_while_all_ask_to_wait_the_mail_waits() -> None:
    assert parts(mails(2), mailgun=Route(1000, room=0), smtp=Route(1, room=0)) == {}


def test_no_batch_is_cut_because_of_a_pause_or_of_slowness() -> None:
    paused, slow = Route(1000, room=0), Route(1000, slow=True)

    assert parts([a_batch(50)], mailgun=paused) == {}
    assert parts([a_batch(50)], mailgun=paused, smtp=Route(100)) == {"smtp": ["batch"]}
    assert parts([a_batch(50)], mailgun=slow) == {"mailgun": ["batch"]}
    assert parts([a_batch(1)], mailgun=slow) == {"smtp": ["batch"]}


def test_a_batch_is_cut_if_its_provider_is_down() -> None:
    assert parts([a_batch(50)], mailgun=Route(1000, OPEN)) == {"smtp": ["batch"]}


def test_a_slow_provider_gets_what_no_other_one_takes() -> None:
    slow = Route(1000, slow=True)

    assert parts(mails(2), mailgun=slow) == {"smtp": ["m0", "m1"]}
    assert parts(mails(2), mailgun=slow, smtp=Route(1, OPEN)) == {"mailgun": ["m0", "m1"]}
    assert parts(mails(2), mailgun=slow, smtp=Route(1, room=1)) == {"smtp": ["m0"], "mailgun": ["m1"]}


def test_the_least_urgent_single_mail_is_the_sample() -> None:
    slow = Route(1000, slow=True)

    assert parts([*mails(3), a_batch(50)], mailgun=slow, smtp=Route(100), sampled=["mailgun"]) == {
        "smtp": ["m0", "m1", "batch"],
        "mailgun": ["m2"],
    }
    assert parts([a_batch(50)], mailgun=slow, smtp=Route(100), sampled=["mailgun"]) == {"smtp": ["batch"]}


def test_the_only_provider_gets_all() -> None:
    assert parts(mails(2), order=["mailgun"], mailgun=Route(1000, OPEN, room=0)) == {"mailgun": ["m0", "m1"]}
    assert parts(mails(2), order=[]) == {}


@pytest.mark.parametrize(("waited_s", "aside_s"), [(0, 1), (3, 1), (40, 10), (3_600, 60)])
def test_the_longer_one_has_waited_the_longer_it_lets_others_go_first(waited_s: float, aside_s: float) -> None:
    now = datetime(2026, 12, 1, tzinfo=UTC)

    assert stands_aside_for(now - timedelta(seconds=waited_s), now) == timedelta(seconds=aside_s)
    assert stands_aside_for(None, now) == timedelta(seconds=1)
