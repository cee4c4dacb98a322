"""What must make chaos' story of mails that come back red."""

from collections.abc import Iterable
from typing import Any

from tests.chaos.bounces import Bounce, BouncedRun, Returned, forged, judge_suppressions
from tests.chaos.bounces import judge_run as judge_bounced
from tests.chaos.rounds import AskedRun
from tests.chaos.stories import Finding, Wrong

NOW = 1_000_000.0


def kinds(findings: Iterable[Finding]) -> list[Wrong]:
    return [one.wrong for one in findings]


HARD = Bounce("run", "a", "bounces+abc@example.org", Returned.HARD)
DELAY = Bounce("run", "b", "bounces+def@example.org", Returned.DELAY)
FORGED = Bounce("run", "c", "bounces+xyz@example.org", Returned.FORGED)
EVENTS = {("a", "bounced"): 1, ("b", "deferred"): 1}


def bounced(*, known_at: float = 0.0, **changes: Any) -> list[Wrong]:
    fields = {
        "asked": AskedRun("sch_1", "k", asked=NOW, began=NOW + 1, promised=NOW + 1, id="run"),
        "people": ["a", "b", "c"],
        "taken": {name: [NOW + 2] for name in "abc"},
        "events": EVENTS,
        "bounced": 1,
    }
    run = BouncedRun(**fields | changes)
    return kinds(judge_bounced(run, [HARD, DELAY, FORGED], {"a": known_at} if known_at else {}, unknown=Wrong.UNKNOWN))


def test_each_bounce_counts_once_and_a_forged_one_never() -> None:
    assert bounced() == []
    assert bounced(events={**EVENTS, ("a", "bounced"): 2}) == [Wrong.WRONG]
    assert bounced(events={("a", "bounced"): 1}) == [Wrong.WRONG]
    assert bounced(events={**EVENTS, ("c", "bounced"): 1}) == [Wrong.WRONG]
    assert bounced(bounced=2) == [Wrong.WRONG]
    assert bounced(bounced=0) == [Wrong.WRONG]


def test_a_run_asked_for_after_the_suppression_was_seen_must_not_go_to_the_address() -> None:
    assert bounced(known_at=NOW - 5) == [Wrong.WRONG]
    assert bounced(known_at=NOW + 5) == []
    assert bounced(known_at=NOW - 5, taken={"b": [NOW], "c": [NOW]}) == []


def test_who_never_bounced_must_get_it_once() -> None:
    assert bounced(taken={"a": [NOW], "b": [NOW]}) == [Wrong.LOST]
    assert bounced(taken={"a": [NOW], "b": [NOW], "c": [NOW, NOW]}) == [Wrong.DOUBLED]
    assert bounced(taken={"a": [NOW], "b": [NOW]}, unknown={"c"}) == [Wrong.UNKNOWN]


def test_those_whose_mailbox_does_not_exist_are_suppressed_and_nobody_else() -> None:
    all_ = [HARD, DELAY, FORGED]

    assert kinds(judge_suppressions(["a", "b", "c"], all_, {"a"})) == []
    assert kinds(judge_suppressions(["a", "b", "c"], all_, set())) == [Wrong.WRONG]
    assert kinds(judge_suppressions(["a", "b", "c"], all_, {"a", "c"})) == [Wrong.WRONG]


def test_a_forged_return_path_is_another_one_of_the_same_form() -> None:
    path = "bounces+ai53u25e@example.org"

    assert forged(path) != path
    assert len(forged(path)) == len(path)
