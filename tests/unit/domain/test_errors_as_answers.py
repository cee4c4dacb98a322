"""An error that is kept as an answer keeps nothing else in memory."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from mailroom.domain.errors import BodiesAway, Unavailable
from mailroom.domain.errors_as_answers import as_answer


class LargeBody:
    """In place of a mail with ten megabytes of attachments."""


@pytest.fixture(autouse=True)
def without_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def read_two() -> tuple[dict[str, LargeBody | Unavailable], "weakref.ref[LargeBody]"]:
    """One mail, and the error of another, as a reader of several mails returns them."""
    found: dict[str, LargeBody | Unavailable] = {"first": LargeBody()}
    found["second"] = read_late()
    return found, weakref.ref(found["first"])  # type: ignore[arg-type]


def read_late() -> BodiesAway:
    try:
        try:
            raise TimeoutError
        except TimeoutError:
            raise BodiesAway("it takes long") from None
    except BodiesAway as error:
        return as_answer(error)


def test_what_was_read_beside_an_error_is_freed_with_the_answers() -> None:
    found, first = read_two()
    assert str(found["second"]) == "it takes long"

    del found

    assert first() is None
