"""Write behind: nobody waits, memory is bounded, and what waited is written when the store is back."""

import threading
import time
from collections.abc import Sequence

from mailroom.domain.errors import Unavailable
from mailroom.services.common.write_behind import WriteBehind
from tests.support.system import wait_for


class Store:
    """A store that can be away, or hang."""

    def __init__(self) -> None:
        self.written: list[Sequence[int]] = []
        self.away = threading.Event()
        self.works = threading.Event()
        self.works.set()
        self.tries = 0

    def write(self, batch: Sequence[int]) -> None:
        self.tries += 1
        self.works.wait(20)
        if self.away.is_set():
            raise Unavailable("away")
        self.written.append(list(batch))

    @property
    def items(self) -> list[int]:
        return [item for batch in self.written for item in batch]


def test_items_that_come_together_are_written_together() -> None:
    store = Store()
    behind = WriteBehind(store.write, most_waiting=1_000, at_once=500, linger_s=0.3, name="test")

    for number in range(100):
        behind.add(number)
    wait_for(lambda: len(store.items) == 100, within_s=10, what="all are written")

    assert len(store.written) == 1
    assert store.items == list(range(100))


def test_a_store_that_hangs_keeps_nobody_waiting_and_memory_bounded() -> None:
    store = Store()
    store.works.clear()
    behind = WriteBehind(store.write, most_waiting=50, at_once=10, name="test")
    began = time.monotonic()

    taken = sum(behind.add(number) for number in range(1_000))

    assert time.monotonic() - began < 5
    assert 50 <= taken <= 60
    store.works.set()
    wait_for(lambda: len(store.items) == taken, within_s=10, what="what was taken is written")


def test_what_waits_while_the_store_is_away_is_written_once_it_is_back() -> None:
    store = Store()
    store.away.set()
    behind = WriteBehind(store.write, most_waiting=50, at_once=50, name="test")
    for number in range(5):
        behind.add(number)
    wait_for(lambda: store.tries, within_s=10, what="it was tried")
    assert store.items == []

    store.away.clear()

    wait_for(lambda: len(store.items) == 5, within_s=10, what="it is written")
    assert sorted(store.items) == list(range(5))


def test_a_bug_loses_its_batch_and_not_the_next() -> None:
    written: list[int] = []

    def write(batch: Sequence[int]) -> None:
        if 0 in batch:
            raise ValueError("a bug")
        written.extend(batch)

    behind = WriteBehind(write, most_waiting=50, at_once=1, name="test")
    behind.add(0)
    behind.add(1)

    wait_for(lambda: written == [1], within_s=10, what="the next is written")


def test_closing_writes_what_waits_and_does_not_wait_for_a_store_that_is_away() -> None:
    store, gone = Store(), Store()
    gone.away.set()
    behind = WriteBehind(store.write, most_waiting=50, at_once=10, linger_s=30, name="test")
    lost = WriteBehind(gone.write, most_waiting=50, at_once=10, name="test")
    for number in range(25):
        behind.add(number)
        lost.add(number)
    began = time.monotonic()

    behind.close(within_s=10)
    lost.close(within_s=10)

    assert store.items == list(range(25))
    assert time.monotonic() - began < 5
