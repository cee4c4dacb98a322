"""Messages that the next page shows."""

from collections.abc import Callable
from typing import TypeVar

from flask import flash

from mailroom.domain.errors import Conflict, SchedulePaused, StaleEdit

T = TypeVar("T")


def flash_problem(error: Exception | str) -> None:
    """Say that nothing was changed, and why."""
    flash(f"Nothing was changed: {error}.", "problem")


def done_or_flashed(act: Callable[[], T]) -> T | None:
    """The result of `act`; None if the thing has changed since the page was shown, and the next page gives the reason.

    Raises SchedulePaused: the person is then asked first."""
    try:
        return act()
    except SchedulePaused:
        raise
    except (Conflict, StaleEdit) as error:
        flash_problem(error)
        return None
