"""The arithmetic of the benchmarks: what is shared out is all of it, and what counts as slower."""

import pytest

from benchmarks.compare import judged
from benchmarks.peers import on_bullmq
from benchmarks.peers.with_mailroom import shares_of


@pytest.mark.parametrize(("mails", "schedules"), [(0, 2), (1, 2), (2_001, 2), (7, 3), (1_000, 1)])
def test_mails_that_cannot_be_shared_evenly_are_all_shared(mails: int, schedules: int) -> None:
    shares = shares_of(mails, schedules)

    assert (len(shares), sum(shares)) == (schedules, mails)
    assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("new", "slower"), [([100, 101, 99], False), ([96, 96, 96], False), ([90, 90, 90], True), ([120, 120, 120], False)]
)
def test_a_rate_is_slower_beyond_five_percent_and_beyond_the_noise(new: list[float], slower: bool) -> None:
    assert judged([100, 101, 99], new)["slower"] is slower
    assert not judged([80, 100, 120], new)["slower"]


def test_without_node_bullmq_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    with pytest.raises(SystemExit, match="BullMQ needs Node 18 or newer, and there is no `node`: `make bullmq`"):
        on_bullmq.fill("redis://127.0.0.1:1", 1)
