"""What stories find, in the verdict of chaos."""

import pytest

from tests.chaos.stories import Finding, Gap, Told, Wrong
from tests.chaos.verdict import Verdict, add_story


@pytest.mark.parametrize("wrong", [Wrong.DOUBLED, Wrong.LOST, Wrong.UNKNOWN, Wrong.WRONG])
def test_what_a_story_finds_makes_the_verdict_red(wrong: Wrong) -> None:
    found = Verdict(seed=1)

    add_story(found, Told(1, 5, 2, "changes"), [Finding(wrong, "here")])

    assert not found.holds
    assert found.faulty[wrong] == ["here"]


def test_what_is_unknown_because_mongodb_lost_that_time_is_told_and_is_no_fault() -> None:
    found = Verdict(seed=1)

    add_story(found, Told(1, 5, 2, "changes"), [Finding(Wrong.ACCOUNTED, "here")])

    assert (found.holds, found.accounted, found.asked, found.accepted_once) == (True, ["here"], 5, 5)


def test_a_time_that_was_lost_reaches_from_the_copy_to_the_restore() -> None:
    gap = Gap(copied_at=10.0, until=20.0)

    assert [gap.has(moment) for moment in (9.9, 10.0, 20.0, 20.1)] == [False, True, True, False]
