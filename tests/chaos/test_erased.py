"""What must make chaos' story of persons who are erased red, and what a report may not say."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.chaos.erasure_accounts import ErasureAccount, ErasureRun, judge_pair
from tests.chaos.erasure_accounts import judge_run as judge_erased
from tests.chaos.reported import faults_of
from tests.chaos.rounds import AskedRun
from tests.chaos.stories import Finding, Wrong
from tests.chaos.witness import Copy

NOW = 1_000_000.0


def kinds(findings: Iterable[Finding]) -> list[Wrong]:
    return [one.wrong for one in findings]


def a_run(gone: ErasureAccount, taken: dict[str, list[float]], **changes: Any) -> ErasureRun:
    asked = AskedRun("sch_1", "k", asked=NOW, began=NOW + 1, promised=NOW + 1, id="run")
    return ErasureRun(**{"asked": asked, "people": ["gone", "stays"], "gone": {"gone": gone}, "taken": taken} | changes)


def erased_at(done: float, *, seen: float | None = None) -> ErasureAccount:
    return ErasureAccount(asked=NOW - 50, promised=NOW - 49, seen_done=done + 1 if seen is None else seen, done=done)


def test_an_erased_person_may_have_what_was_handed_over_before() -> None:
    run = a_run(erased_at(NOW + 10), {"gone": [NOW + 5], "stays": [NOW + 5]})

    assert kinds(judge_erased(run, unknown=Wrong.UNKNOWN)) == []


def test_a_mail_to_somebody_whose_erasure_is_done_is_wrong() -> None:
    late = a_run(erased_at(NOW + 10), {"gone": [NOW + 10.5], "stays": [NOW + 5]})
    before = a_run(erased_at(NOW - 10), {"gone": [NOW + 5], "stays": [NOW + 5]})

    assert kinds(judge_erased(late, unknown=Wrong.UNKNOWN)) == [Wrong.WRONG]
    assert kinds(judge_erased(before, unknown=Wrong.UNKNOWN)) == [Wrong.WRONG, Wrong.WRONG]


def test_other_peoples_mail_is_neither_lost_nor_doubled() -> None:
    gone = erased_at(NOW + 10)

    assert kinds(judge_erased(a_run(gone, {}), unknown=Wrong.UNKNOWN)) == [Wrong.LOST]
    assert kinds(judge_erased(a_run(gone, {"stays": [1.0, 2.0]}), unknown=Wrong.UNKNOWN)) == [Wrong.DOUBLED]
    unknown = a_run(gone, {}, unknown={"stays"})
    assert kinds(judge_erased(unknown, unknown=Wrong.ACCOUNTED)) == [Wrong.ACCOUNTED]


def test_an_erasure_that_is_not_done_is_wrong() -> None:
    run = a_run(ErasureAccount(asked=NOW, promised=NOW), {"stays": [NOW + 5]})

    assert kinds(judge_erased(run, unknown=Wrong.UNKNOWN)) == [Wrong.WRONG]


def test_a_run_has_those_whose_erasure_was_not_done_when_it_was_asked_for() -> None:
    assert a_run(erased_at(NOW - 10), {}).recipients == (1, 1)
    assert a_run(erased_at(NOW + 10), {}).recipients == (1, 2)
    assert a_run(ErasureAccount(asked=NOW + 5, promised=NOW + 6), {}).recipients == (2, 2)


def test_the_other_recipient_of_a_mail_must_get_it() -> None:
    gone = erased_at(NOW + 10)
    to_other = Copy("", "other", "m", NOW + 20)

    def judged(*copies: Copy) -> list[Wrong]:
        return kinds(judge_pair(copies, mail="m", gone="gone", account=gone, other="other"))

    assert judged(to_other) == []
    assert judged(to_other, Copy("", "gone", "m", NOW)) == []
    assert judged() == [Wrong.LOST]
    assert judged(to_other, Copy("", "gone", "m", NOW + 20)) == [Wrong.WRONG]
    assert judged(to_other, to_other) == [Wrong.DOUBLED]


def a_report(**changes: int) -> dict[str, int]:
    fields = ("recipients", "queued", "sent", "failed", "suppressed", "cancelled", "in_doubt", "unknown")
    return dict.fromkeys(fields, 0) | {"recipients": 8, "sent": 6, "suppressed": 2} | changes


def test_a_report_that_adds_up_has_no_fault() -> None:
    assert faults_of(a_report(), recipients=(4, 8), taken=6) == []
    assert faults_of(a_report(sent=5, unknown=1), recipients=(4, 8), taken=6) == []


@pytest.mark.parametrize(
    ("report", "taken"),
    [
        (a_report(recipients=9), 6),
        (a_report(recipients=3, sent=1), 1),
        (a_report(suppressed=1), 6),
        (a_report(), 5),
        (a_report(), 7),
        (a_report(sent=5, queued=1), 5),
    ],
)
def test_a_report_that_does_not_add_up_is_told(report: dict[str, int], taken: int) -> None:
    assert faults_of(report, recipients=(4, 8), taken=taken)
