"""What a story asks for in rounds: one thing after the other, each tried again until it is done."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

Step = Callable[[], bool]


@dataclass(slots=True)
class AskedRun:
    """A run-now of a schedule, by its key: when it was asked for first, when promised first and last, and its id."""

    schedule: str
    key: str
    asked: float = 0.0
    began: float = 0.0
    promised: float = 0.0
    id: str = ""


@dataclass(slots=True)
class Round:
    """The steps that are still to be done, in this order."""

    left: deque[Step] = field(default_factory=deque)

    def then(self, *steps: Step) -> None:
        self.left.extend(steps)

    def proceed(self) -> None:
        """Try the next step."""
        if self.left and self.left[0]():
            self.left.popleft()
