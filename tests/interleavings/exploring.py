"""Schedules are tried: all with few deviations first, so that what is found is as short as can be; then random ones."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.interleavings.director import Choose, Violation

Deviations = tuple[tuple[int, int], ...]  # (at which choice, which option)


@dataclass(frozen=True)
class Found:
    """A broken promise, the number of schedules that were tried until then, and the story."""

    why: str
    tried: int
    deviations: list[str]
    trace: list[str]

    def __str__(self) -> str:
        return "\n".join([f"{self.why} (schedule {self.tried})", *self.deviations, "", *self.trace])


@dataclass(frozen=True)
class Explored:
    """How many schedules were tried, and the first that broke a promise."""

    tried: int
    found: Found | None


@dataclass(frozen=True)
class Share:
    """One of several shares of the same schedules, told apart by their first deviation: tests share the work."""

    number: int
    of: int

    def __str__(self) -> str:
        return f"share {self.number + 1} of {self.of}"


WHOLE = Share(0, 1)
Make = Callable[[Choose], object]  # a world with `run` and `director`


def explore(
    make: Make, *, deviations: int, most: int = 10**9, walks: int = 0, daring: float = 0.06, share: Share = WHOLE
) -> Explored:
    """All schedules with up to so many deviations, but no more than `most` in all; then random ones. Ends with the
    first broken promise."""
    tried = 0
    for choose in _courses(deviations, most, walks, daring, share):
        tried += 1
        world = make(choose)
        try:
            world.run()  # type: ignore[attr-defined]
        except Violation as error:
            director = world.director  # type: ignore[attr-defined]
            return Explored(tried, Found(str(error), tried, director.deviations, director.trace))
    return Explored(tried, None)


def _courses(deviations: int, most: int, walks: int, daring: float, share: Share) -> Iterator[Choose]:
    level: list[Deviations] = [()]
    tried = 0
    for depth in range(deviations + 1):
        following: list[Deviations] = []
        for course in level:
            if tried == most:
                break
            tried += 1
            planned = _Planned(course)
            yield planned
            if depth < deviations:
                after = course[-1][0] + 1 if course else 0
                following += [
                    (*course, (place, option))
                    for place in range(after, len(planned.widths))
                    for option in range(1, planned.widths[place])
                ]
        level = following if depth else following[share.number :: share.of]
    for seed in range(walks):
        yield walk(random.Random(seed), daring)


class _Planned:
    """Deviates where it was told to, and remembers how many options there were at each choice."""

    def __init__(self, course: Deviations) -> None:
        self._course = dict(course)
        self.widths: list[int] = []

    def __call__(self, options: Sequence[str]) -> int:
        self.widths.append(len(options))
        return min(self._course.get(len(self.widths) - 1, 0), len(options) - 1)


class Told:
    """Deviates as it is told to in words, one after the other."""

    def __init__(self, *words: str) -> None:
        self.left = list(words)

    def __call__(self, options: Sequence[str]) -> int:
        number = next((n for n, words in enumerate(options) if self.left and self.left[0] in words), 0)
        if self.left and self.left[0] in options[number]:
            del self.left[0]
        return number


def walk(dice: random.Random, daring: float) -> Choose:
    return lambda options: dice.randrange(1, len(options)) if dice.random() < daring else 0
