"""What must make chaos' story of a campaign in each recipient's own time red."""

from collections.abc import Iterable
from typing import Any

from tests.chaos.histories import OUT, History
from tests.chaos.stories import Finding, Wrong
from tests.chaos.zoned import Edition, ZonedRun, instant_of
from tests.chaos.zoned import judge_run as judge_zoned

NOW = 1_000_000.0


def known(*entries: tuple[float, str]) -> History:
    """A contact of whom this was known from each moment on."""
    return History([0.0, *(since for since, _ in entries)], [{OUT}, *({state} for _, state in entries)])


def kinds(findings: Iterable[Finding]) -> list[Wrong]:
    return [one.wrong for one in findings]


def judged(history: History, taken: list[float], slice_: float | None, **changes: Any) -> list[Wrong]:
    edition = Edition("sch_1", wall=NOW, promised=NOW - 60)
    slices = {} if slice_ is None else {"a": slice_}
    fields = {"id": "run", "began": edition.begins, "taken": {"a": taken}, "slices": slices} | changes
    return kinds(judge_zoned(edition, ZonedRun(**fields), {"a": history}, unknown=Wrong.UNKNOWN))


LAST = instant_of("Chaos/Last", NOW)
FOURTH = instant_of("Chaos/Fourth", NOW)
IN_LAST = known((NOW - 100, "Chaos/Last"))


def test_the_instants_of_the_zones_follow_from_their_offsets() -> None:
    assert (instant_of("Chaos/First", NOW), FOURTH, LAST) == (NOW - 12, NOW, NOW + 4)


def test_a_mail_at_the_instant_of_the_zone_is_right_however_late() -> None:
    assert judged(IN_LAST, [LAST + 0.1], LAST) == []
    assert judged(IN_LAST, [LAST + 90], LAST) == []


def test_a_mail_before_the_instant_of_its_zone_is_wrong() -> None:
    assert judged(IN_LAST, [LAST - 0.1], LAST) == [Wrong.WRONG]


def test_a_mail_in_the_slice_of_another_zone_is_wrong() -> None:
    assert judged(IN_LAST, [LAST + 1], FOURTH) == [Wrong.WRONG]
    assert judged(IN_LAST, [LAST + 1], None) == [Wrong.WRONG]


def test_the_zone_counts_that_the_contact_had_as_the_run_began() -> None:
    moved = known((NOW - 100, "Chaos/Last"), (NOW - 11, "Chaos/Fourth"))

    assert judged(moved, [LAST], LAST) == []
    assert judged(moved, [FOURTH], FOURTH) == [Wrong.WRONG, Wrong.WRONG]


def test_whoever_joined_after_the_run_began_must_get_nothing_and_who_left_still_gets_it() -> None:
    assert judged(known((NOW - 11, "Chaos/Last")), [LAST], LAST) == [Wrong.DOUBLED]
    assert judged(known((NOW - 100, "Chaos/Last"), (NOW - 11, OUT)), [], None) == [Wrong.LOST]


def test_a_contact_that_moved_as_the_run_began_may_be_in_either_slice() -> None:
    begins = NOW - 12
    moving = History([0.0, begins - 1], [{OUT}, {"Chaos/Fourth", "Chaos/Last"}])

    assert judged(moving, [FOURTH], FOURTH) == []
    assert judged(moving, [LAST], LAST) == []
    assert judged(moving, [], None) == [Wrong.LOST]


def test_two_mails_of_a_run_are_doubled_and_an_unknown_one_is_told() -> None:
    assert judged(IN_LAST, [LAST, LAST + 1], LAST) == [Wrong.DOUBLED]
    assert judged(IN_LAST, [], None, unknown={"a"}) == [Wrong.UNKNOWN]


def test_a_run_that_began_at_another_instant_than_its_earliest_zones_is_wrong() -> None:
    assert judged(IN_LAST, [LAST], LAST, began=NOW) == [Wrong.WRONG]


def test_who_may_have_joined_in_a_time_that_was_lost_may_be_in_no_slice_but_never_too_early() -> None:
    joining = History([0.0, NOW - 100], [{OUT}, {OUT, "Chaos/Last"}])

    assert judged(joining, [LAST], None) == []
    assert judged(joining, [LAST - 0.1], None) == [Wrong.WRONG]
