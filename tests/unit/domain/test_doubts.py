"""What an answer of the provider's log means, and when it is asked."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailroom.domain.dispatches.absence import AbsenceVerdict, controls_needed, judge_absent
from mailroom.domain.dispatches.conclusions import Findings, sort_in
from mailroom.domain.dispatches.doubts import Doubt, Timing, Traces, next_question
from mailroom.domain.ids import ClaimId, MessageId, child_dispatch_id
from tests.support.builders import NOW, a_claimed

S = timedelta(seconds=1)
TIMING = Timing(call_timeout=60 * S, idle_limit=600 * S, settle=1800 * S, log_retention=86_400 * S)
OVER, DECISIVE = 660 * S, 2460 * S


def a_doubt(*, asked: int = 0, marked: timedelta = timedelta()) -> Doubt:
    return Doubt(
        a_claimed(claimed_at=NOW),
        marked_at=NOW + marked,
        called_since=NOW + marked,
        asked=asked,
        used_a_try=True,
        doubted=ClaimId("c1"),
        call_ended=True,
    )


@pytest.mark.parametrize(
    ("after", "control_seen", "verdict"),
    [
        (DECISIVE, True, AbsenceVerdict.NOT_ACCEPTED),
        (DECISIVE, False, AbsenceVerdict.ASK_AGAIN),
        (DECISIVE - S, True, AbsenceVerdict.ASK_AGAIN),
        (timedelta(), True, AbsenceVerdict.ASK_AGAIN),
        (86_399 * S, False, AbsenceVerdict.ASK_AGAIN),
        (86_400 * S, True, AbsenceVerdict.UNKNOWN),
        (86_400 * S, False, AbsenceVerdict.UNKNOWN),
    ],
)
def test_absent_is_believed_only_when_nothing_can_hide_it(
    after: timedelta, control_seen: bool, verdict: AbsenceVerdict
) -> None:
    found = judge_absent(a_doubt(), asked_at=NOW + after, control_seen=control_seen, timing=TIMING)

    assert found is verdict


@given(asked=st.integers(0, 10_000), after=st.integers(0, 90_000))
def test_a_question_always_follows_soon_and_never_passes_a_moment_that_changes_its_meaning(
    asked: int, after: int
) -> None:
    now = NOW + after * S

    next_at = next_question(a_doubt(asked=asked), timing=TIMING, now=now)

    assert now < next_at <= now + 300 * S
    for moment in (NOW + OVER, NOW + DECISIVE):
        assert not now < moment < next_at


def test_a_control_is_needed_once_a_call_is_over_and_decides_for_those_whose_log_is_complete() -> None:
    old, young = a_doubt(), a_doubt(marked=1000 * S)

    def needed(after: timedelta) -> tuple[object, object]:
        return controls_needed([old, young], timing=TIMING, now=NOW + after)

    assert needed(OVER - S) == (None, None)
    assert needed(OVER) == (None, NOW + OVER)
    assert needed(DECISIVE) == (NOW + OVER, NOW + 1000 * S + OVER)
    assert needed(DECISIVE + 1000 * S) == (NOW + 1000 * S + OVER, NOW + 1000 * S + OVER)


def test_splitting_the_same_again_gives_the_same_children_at_any_depth() -> None:
    dispatch, ids = a_claimed(dispatch="run-d00001").id, [MessageId(f"run/{n}") for n in range(4)]

    half = child_dispatch_id(dispatch, ids[:2])
    quarter = child_dispatch_id(half, ids[:1])

    assert half == child_dispatch_id(dispatch, list(reversed(ids[:2])))
    assert quarter == child_dispatch_id(dispatch, ids[:1])
    assert len({dispatch, half, quarter, child_dispatch_id(dispatch, ids[2:])}) == 4


@pytest.mark.parametrize(
    "traces", [Traces(frozenset(), {1: "id"}), Traces(frozenset({"somebody@example.org"}), {1: "id"})]
)
def test_a_call_that_the_log_shows_to_somebody_else_or_to_nobody_is_not_repeated(traces: Traces) -> None:
    findings = Findings()

    sort_in(findings, a_doubt(), {MessageId("m1"): "bo@example.org"}, traces, AbsenceVerdict.NOT_ACCEPTED, "id")

    assert not findings.not_accepted
    assert len(findings.contradicted) + len(findings.in_parts) == 1


def test_what_events_tell_and_the_log_does_not_show_is_not_sent_again() -> None:
    findings, told = Findings(), Traces(told=frozenset({"bo@example.org"}))

    sort_in(findings, doubt := a_doubt(), {MessageId("m1"): "bo@example.org"}, told, AbsenceVerdict.NOT_ACCEPTED, "id")

    assert findings.contradicted == [doubt]
    assert findings.left_unknown == [doubt]


def test_a_doubt_that_outlives_the_log_is_unknown_for_that_reason() -> None:
    findings = Findings()

    sort_in(findings, doubt := a_doubt(), {MessageId("m1"): "bo@example.org"}, Traces(), AbsenceVerdict.UNKNOWN, "id")

    assert (findings.unknown, findings.contradicted) == ([doubt], [])


def test_the_age_of_a_doubt_is_counted_from_the_first_time_it_may_have_been_called() -> None:
    doubt = replace(a_doubt(), called_since=NOW - timedelta(days=2))

    verdict = judge_absent(doubt, asked_at=NOW + DECISIVE, control_seen=True, timing=TIMING)

    assert verdict is AbsenceVerdict.UNKNOWN
