"""Which due instants run: the misfire rule."""

from datetime import timedelta

import pytest

from mailroom.domain.misfire import SkipReason, decide, skip_through
from tests.support.builders import NOW, a_schedule

HOUR = timedelta(hours=1)


def test_nothing_is_decided_before_an_instant_is_due() -> None:
    assert decide(a_schedule(), NOW + HOUR - timedelta(seconds=1)) is None


def test_an_instant_that_is_due_now_runs() -> None:
    decisions = decide(a_schedule(), NOW + HOUR)

    assert decisions is not None
    assert decisions.due == (NOW + HOUR,)
    assert decisions.decided_through == NOW + HOUR
    assert decisions.next_run_at == NOW + 2 * HOUR


def test_several_instants_within_the_grace_all_run() -> None:
    decisions = decide(a_schedule(grace_s=3 * 3600), NOW + 3 * HOUR)

    assert decisions is not None
    assert decisions.due == (NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR)
    assert decisions.skipped == ()


@pytest.mark.parametrize(
    ("policy", "due_hours", "skipped"),
    [
        ("run_all", [1, 2, 3, 4, 5], []),
        ("skip", [], [(1, 5, 5)]),
        ("run_once", [5], [(1, 4, 4)]),
    ],
)
def test_instants_missed_by_more_than_the_grace_follow_the_policy(
    policy: str, due_hours: list[int], skipped: list[tuple[int, int, int]]
) -> None:
    decisions = decide(a_schedule(policy=policy, grace_s=60), NOW + 5.5 * HOUR)

    assert decisions is not None
    assert list(decisions.due) == [NOW + hour * HOUR for hour in due_hours]
    found = [(s.first, s.last, s.instants, s.reason) for s in decisions.skipped]
    assert found == [(NOW + a * HOUR, NOW + b * HOUR, n, SkipReason.MISSED) for a, b, n in skipped]


def test_an_on_time_instant_stands_for_the_missed_ones_before_it() -> None:
    decisions = decide(a_schedule(policy="run_once", grace_s=60), NOW + 5 * HOUR)

    assert decisions is not None
    assert decisions.due == (NOW + 5 * HOUR,)
    assert decisions.skipped[0].instants == 4


def test_a_long_absence_is_worked_off_in_steps_and_only_its_last_instant_runs() -> None:
    schedule, now = a_schedule(grace_s=60, seconds=60), NOW + 10.5 * timedelta(minutes=1)

    first = decide(schedule, now - timedelta(seconds=0), step=4)

    assert first is not None
    assert first.due == ()
    assert first.skipped[0].instants == 4
    assert first.next_run_at == NOW + timedelta(minutes=5)


def test_max_runs_counts_skipped_instants_too() -> None:
    decisions = decide(a_schedule(max_runs=3, policy="skip", grace_s=0), NOW + 10 * HOUR)

    assert decisions is not None
    assert decisions.decided == 3
    assert decisions.next_run_at is None


def test_a_pause_is_one_record_with_its_range() -> None:
    decisions = skip_through(a_schedule(), NOW + 3.5 * HOUR, SkipReason.PAUSED)

    assert [(s.first, s.last, s.instants) for s in decisions.skipped] == [(NOW + HOUR, NOW + 3 * HOUR, 3)]
    assert decisions.next_run_at == NOW + 4 * HOUR
    assert decisions.decided_through == NOW + 3.5 * HOUR


def test_a_pause_in_which_nothing_was_due_leaves_no_record() -> None:
    assert skip_through(a_schedule(), NOW + 0.5 * HOUR, SkipReason.PAUSED).skipped == ()
