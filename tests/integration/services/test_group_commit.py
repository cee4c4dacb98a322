"""Many requests, one transaction: each is answered by itself, and what was given up is never stored."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import patch

import pytest

from mailroom.domain.errors import Unavailable
from mailroom.services.common import group_commit
from mailroom.services.common.group_commit import GroupCommit


def test_what_was_not_begun_when_its_caller_gave_up_is_never_stored() -> None:
    """Without an Idempotency-Key the caller asks again: it would be stored twice."""
    stored: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def commit(items: Sequence[str]) -> Sequence[str]:
        begun.set()
        go_on.wait(10)
        stored.extend(items)
        return items

    group = GroupCommit[str, str](commit, most=10, name="tests")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(group.submit, "first")
        begun.wait(10)

        with patch.object(group_commit, "_ANSWER_S", 0.05), pytest.raises(Unavailable):
            group.submit("given up")
        go_on.set()
        group.submit("last")

    assert stored == ["first", "last"]


def test_one_that_cannot_be_stored_sinks_no_other() -> None:
    def commit(items: Sequence[int]) -> Sequence[int]:
        if 3 in items:
            raise ValueError(3)
        return items

    group = GroupCommit[int, int](commit, most=10, name="tests")

    answers = group.submit_many([1, 2, 3, 4])

    assert [answers[n] for n in (0, 1, 3)] == [1, 2, 4]
    assert isinstance(answers[2], ValueError)
