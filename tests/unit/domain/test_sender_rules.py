"""Rules that every sender must know before they are taken in."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailroom.domain.errors import SendersTooOld
from mailroom.domain.sender_rules import KNOWN_SINCE, PROTOCOL, SenderRule, require_known
from mailroom.domain.workers import Worker, WorkerKind

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def a_worker(**changes: Any) -> Worker:
    """A sender of a version before protocols, which has just checked in."""
    untold = dict.fromkeys(["host", "address", "pid", "version", "protocol", "since", "check_ins", "in_flight"])
    known: dict[str, Any] = {"id": "ann-1", "kind": WorkerKind.SENDER, "last_check_in": NOW}
    return Worker(**{**untold, **known, "lanes": (), "lanes_count": 0, **changes})


def test_this_code_knows_every_rule() -> None:
    for rule in SenderRule:
        require_known(rule, [a_worker(protocol=PROTOCOL)], now=NOW)


@pytest.mark.parametrize(
    ("worker", "refused"),
    [
        (a_worker(), True),
        (a_worker(protocol=0), True),
        (a_worker(protocol=KNOWN_SINCE[SenderRule.ELSEWHERE]), False),
        (a_worker(protocol=PROTOCOL + 1), False),
        (a_worker(kind=WorkerKind.WEB), False),
        (a_worker(last_check_in=NOW - timedelta(minutes=59)), True),  # silent: it may be frozen, and wake up
        (a_worker(last_check_in=NOW - timedelta(minutes=61)), False),
    ],
)
def test_a_rule_waits_for_each_sender_that_does_not_know_it_and_may_still_run(worker: Worker, refused: bool) -> None:
    if not refused:
        require_known(SenderRule.ELSEWHERE, [worker], now=NOW)
        return
    with pytest.raises(SendersTooOld, match="ann-1"):
        require_known(SenderRule.ELSEWHERE, [a_worker(id="new-1", protocol=PROTOCOL), worker], now=NOW)


def test_of_many_old_senders_the_first_are_named_and_all_are_counted() -> None:
    old = [a_worker(id=f"old-{n}", last_check_in=NOW - timedelta(seconds=n)) for n in range(8)]

    with pytest.raises(SendersTooOld) as refused:
        require_known(SenderRule.ELSEWHERE, old, now=NOW)

    told = str(refused.value)
    assert told.startswith("on_doubt 'elsewhere' is not taken in while processes run that do not know it: old-0")
    assert told.endswith("old-4 (last check-in 4 s ago) and 3 more")
