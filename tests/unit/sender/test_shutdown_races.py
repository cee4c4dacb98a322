"""What is handed in just before a thread is told to end is still done: the thread looks at the end first, at its work
second.

Fencer, caller and recorder hand work on. Each is told to end only after the thread before it has ended. A thread that
looks at its work first, and at the end second, misses what came in between.
"""

import threading
from collections import deque
from types import SimpleNamespace
from typing import Any

from sender.caller import Caller
from sender.recorder import Recorder


class LateCaller(Caller):
    """The fencer's last job comes just before this thread sees that it is to end."""

    is_told, came_late = False, False

    @property
    def _ending(self) -> bool:
        if self.is_told and not self.came_late:
            self.came_late = True
            self.hand_in([SimpleNamespace(urgent=False)])  # type: ignore[list-item]
        return self.is_told

    @_ending.setter
    def _ending(self, told: bool) -> None:
        self.is_told = told

    def step(self) -> None:
        self.began = list(self._waiting)
        self._waiting.clear()


def test_a_job_that_was_fenced_at_the_last_moment_is_called() -> None:
    caller = LateCaller(most_calls=4, reserved=1, may_call=lambda: True, done=lambda _: None)
    caller.start()

    caller.finish()

    assert len(caller.began) == 1
    caller.close()


class LateRecorder(Recorder):
    """The caller's last result comes just before this thread sees that it is to end."""

    is_told, came_late = False, False

    def __init__(self) -> None:
        self._handed_in: deque[Any] = deque()
        self._unwritten = []
        self._changed = threading.Condition()
        self._touched_runs = set()
        self._finish_at = 0.0
        self._thread = threading.Thread(target=self._run)
        self.recorded: list[Any] = []

    @property
    def _ending(self) -> bool:
        if self.is_told and not self.came_late and self._is_deciding():
            self.came_late = True
            self._handed_in.append("accepted")
        return self.is_told

    @_ending.setter
    def _ending(self, told: bool) -> None:
        self.is_told = told

    def _is_deciding(self) -> bool:
        """False while it waits: the two waits look at the end as well."""
        self.looks = getattr(self, "looks", 0) + 1
        return self.looks > 1

    def step(self) -> bool:
        self.recorded += self._handed_in
        self._handed_in.clear()
        return True


def test_a_result_that_came_at_the_last_moment_is_recorded() -> None:
    recorder = LateRecorder()
    recorder._ending = True

    recorder.start()

    assert recorder.finish(within_s=10)
    assert recorder.recorded == ["accepted"]
