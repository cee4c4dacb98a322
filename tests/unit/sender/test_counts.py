"""What a sender counts of its calls."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from mailroom.domain.dispatches.outcomes import Accepted, CallResult, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.domain.emails.model import Rank
from mailroom.domain.ids import ClaimId
from mailroom.services.dispatching.fences import Crossing
from mailroom.watching import sending
from sender import counts
from tests.support.builders import a_claimed

NO = Refused(Refusal.RECIPIENT, "no such user", code=550)


@pytest.mark.parametrize(
    ("outcome", "word"),
    [
        (Accepted("<1>"), "accepted"),
        (Accepted("<1>", attempt=1), "called_before"),
        (InPart("<1>", {"a@example.org": NO}), "in_part"),
        (InDoubt("no answer"), "in_doubt"),
        (InDoubt("its fence was crossed", crossed_by=ClaimId("c")), "called_before"),
        *((Refused(kind, "why"), str(kind)) for kind in Refusal),
    ],
)
def test_every_outcome_has_a_word(outcome: Outcome, word: str) -> None:
    assert counts.outcome_word(outcome) == word


def grown(name: str, **labels: str) -> Callable[[], float]:
    """By how much a counter has grown since now."""

    def value() -> float:
        return sending.REGISTRY.get_sample_value(name, labels) or 0.0

    before = value()
    return lambda: value() - before


def test_mails_are_counted_by_their_outcomes() -> None:
    claimed = replace(a_claimed(), provider="counted", messages=10)
    accepted = grown("mailroom_sent_mails_total", provider="counted", outcome="accepted")
    halved = grown("mailroom_sent_mails_total", provider="counted", outcome="recipient")
    refused = grown("mailroom_sent_mails_total", provider="counted", outcome="permanent")
    doubted = grown("mailroom_sent_mails_total", provider="counted", outcome="in_doubt")
    some = InPart("<1>", {"a@example.org": NO, "b@example.org": NO})

    counts.count_mails(CallResult(claimed, outcome) for outcome in (Accepted("<1>"), some, InDoubt("no answer"), NO))
    counts.count_mails([CallResult(replace(claimed, messages=1), NO)])

    assert (accepted(), halved(), refused(), doubted()) == (10 + 8, 10, 2 + 1, 10)


def test_the_answers_of_the_fences_are_counted_each_by_its_word() -> None:
    claimed = a_claimed()
    crossing = Crossing(
        go=[claimed],
        called_before=[CallResult(claimed, InDoubt("x"))] * 2,
        split_before=[claimed] * 3,
        stale=[claimed] * 4,
        held=[claimed] * 5,
        forgotten=[claimed] * 6,
    )
    answers = {answer: grown("mailroom_fence_answers_total", answer=answer) for answer in sending.FENCE_ANSWERS}

    counts.count_crossing(crossing)

    assert {answer: since() for answer, since in answers.items()} == {
        "go": 1,
        "called_before": 2,
        "split_before": 3,
        "stale": 4,
        "held": 5,
        "forgotten": 6,
    }


def test_what_was_never_called_took_no_time_of_the_provider() -> None:
    calls = grown("mailroom_provider_call_seconds_count", provider="counted", outcome="not_called")

    counts.count_call(replace(a_claimed(), provider="counted"), Refused(Refusal.NOT_CALLED, "x"), seconds=0.1)

    assert calls() == 0


@pytest.mark.parametrize(
    ("rank", "labels"),
    [
        (Rank.HIGH, {"kind": "single", "priority": "high"}),
        (Rank.LOW, {"kind": "single", "priority": "low"}),
        (Rank.CAMPAIGN, {"kind": "campaign", "priority": "none"}),
    ],
)
def test_lateness_is_counted_by_kind_and_priority(rank: Rank, labels: dict[str, str]) -> None:
    due, claimed = datetime.now(UTC) - timedelta(seconds=90), replace(a_claimed(), rank=rank)
    within_2_minutes = grown("mailroom_lateness_seconds_bucket", le="120.0", **labels)
    within_1_minute = grown("mailroom_lateness_seconds_bucket", le="60.0", **labels)

    counts.note_lateness(claimed, Accepted("<1>"), due)
    counts.note_lateness(claimed, InDoubt("no answer"), due)
    counts.note_lateness(claimed, Accepted("<1>"), None)

    assert (within_2_minutes(), within_1_minute()) == (1, 0)
