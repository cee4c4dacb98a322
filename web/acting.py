"""Run a form action; if the object has changed since the page was shown (Conflict), flash the reason."""

from collections.abc import Callable
from typing import TypeVar

from flask import flash, render_template, request

from mailroom.domain.errors import Conflict, SchedulePaused

T = TypeVar("T")


def done_or_told(work: Callable[[], T]) -> T | None:
    """The result of `work`; None if it raises Conflict, and the next page shows the reason. Raises SchedulePaused: the
    person is then asked first."""
    try:
        return work()
    except SchedulePaused:
        raise
    except Conflict as error:
        flash(f"Not done: {error}.")
        return None


def ask_even_if_paused(*, back_to: str) -> tuple[str, int]:
    """A page that asks whether to send though the schedule is paused; yes posts the same form again and says so."""
    typed = {name: value for name, value in request.form.items() if name != "csrf_token"}
    return render_template("ask_paused.html", typed=typed, back_to=back_to), 409
