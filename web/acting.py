"""What a button does, where its thing may have moved on since the page was shown."""

from collections.abc import Callable
from typing import TypeVar

from flask import flash

from mailroom.domain.errors import Conflict

T = TypeVar("T")


def done_or_told(work: Callable[[], T]) -> T | None:
    """What came of it; None where it cannot be done any more, and the next page says why."""
    try:
        return work()
    except Conflict as error:
        flash(f"Not done: {error}.")
        return None
