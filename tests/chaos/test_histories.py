"""What the driver of chaos knows of a contact, and what must make the story of an audience that changes red."""

import pytest

from tests.chaos.histories import IN, OUT, History
from tests.chaos.living import membership
from tests.chaos.stories import Wrong


def known(*entries: tuple[float, str]) -> History:
    """A contact of whom this was known from each moment on."""
    return History([0.0, *(since for since, _ in entries)], [{OUT}, *({state} for _, state in entries)])


def test_between_a_request_and_its_answer_a_contact_may_be_either() -> None:
    history = History()

    history.asked(IN)
    assert history.newest == {IN, OUT}
    history.answered(IN)

    assert history.newest == {IN}


def test_a_request_without_an_answer_stays_in_doubt_until_another_one_is_answered() -> None:
    history = History()

    history.asked("Chaos/First")
    history.asked("Chaos/Last")

    assert history.newest == {OUT, "Chaos/First", "Chaos/Last"}


def test_after_a_restore_what_was_said_since_the_copy_may_be_lost() -> None:
    history = known((10.0, "a"), (20.0, "b"), (30.0, "c"))

    history.doubt_from(15.0)

    assert history.at(14.0) == {"a"}
    assert history.at(25.0) == {"a", "b"}
    assert history.at(35.0) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("times", "may", "wrong"),
    [
        (1, {IN}, None),
        (0, {OUT}, None),
        (0, {IN, OUT}, None),
        (1, {IN, OUT}, None),
        (0, {IN}, Wrong.LOST),
        (1, {OUT}, Wrong.DOUBLED),
        (2, {IN, OUT}, Wrong.DOUBLED),
    ],
)
def test_copies_are_held_to_what_was_known_of_the_contact(times: int, may: set[str], wrong: Wrong | None) -> None:
    found = membership("run a@example.org", times, may)

    assert (found.wrong if found else None) == wrong
