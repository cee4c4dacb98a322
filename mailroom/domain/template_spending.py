"""The cost of rendering one mail: the characters that filters read, and what loops do. At a limit rendering stops."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Struct

from mailroom.domain.limits import (
    MAX_BATCH_STEPS,
    MAX_LOOP_STEPS,
    MAX_LOOP_TURNS,
    MAX_PART_LOOP_STEPS,
    MAX_PART_LOOP_TURNS,
)
from mailroom.domain.plain_values import characters_in

_CHARACTERS_OF_A_STEP: Final = 40  # compared or joined in about the time of one step
_CHARACTERS: Final = 200_000  # that filters may read in every mail
_MOST_FOR_LISTS: Final = 8_000_000  # characters that filters may read because lists and objects are long


class CannotRender(ValueError):
    """The content cannot be filled in for this recipient; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """The most that all loops of one rendering may do together. A turn of a loop takes as many steps as the loop holds
    words and signs, about."""

    turns: int
    steps: int


OF_A_MAIL: Final = Allowance(MAX_LOOP_TURNS, MAX_LOOP_STEPS)
OF_PARTS: Final = Allowance(MAX_PART_LOOP_TURNS, MAX_PART_LOOP_STEPS)


class Cost(Struct, frozen=True):
    """What a rendering took of each allowance."""

    characters: int
    turns: int
    steps: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.characters + other.characters, self.turns + other.turns, self.steps + other.steps)

    def is_within(self, most: "Cost") -> bool:
        return self.characters <= most.characters and self.turns <= most.turns and self.steps <= most.steps


NOTHING: Final = Cost(0, 0, 0)
#: What the parts of every mail may cost, however short its values are.
EVERY_MAIL_MAY: Final = Cost(_CHARACTERS, OF_PARTS.turns, OF_PARTS.steps)


class SharedSteps:
    """The steps that are left to the loops of several mails together: those of one request."""

    def __init__(self, most: int = MAX_BATCH_STEPS) -> None:
        self.left = most


class Spending:
    """Counts what the rendering of one mail costs, and stops it with CannotRender at a limit.

    `lists`: by the name of its items, the list that a loop of this name went over last: faults name an item by its
    place in it.
    """

    __slots__ = ("_allowed", "_shared", "left", "lists", "steps", "turns")

    def __init__(
        self, context: Mapping[str, Any], allowed: Allowance = OF_A_MAIL, shared: SharedSteps | None = None
    ) -> None:
        plain = nested = 0
        for value in context.values():
            if isinstance(value, str):
                plain += len(value)
            elif isinstance(value, list | dict):
                nested += characters_in(value)
        # A template may read each value several times; more would let the work grow faster than the input.
        self.left = _CHARACTERS + 8 * plain + min(4 * nested, _MOST_FOR_LISTS)
        self.turns, self.steps = allowed.turns, allowed.steps
        self.lists: dict[str, Sequence[Any]] = {}
        self._allowed, self._shared = allowed, shared

    def balance(self) -> Cost:
        """What is left of each allowance."""
        return Cost(self.left, self.turns, self.steps)

    def spent_since(self, before: Cost) -> Cost:
        return Cost(before.characters - self.left, before.turns - self.turns, before.steps - self.steps)

    def pay(self, cost: Cost) -> None:
        """What a rendering would cost again. Raises CannotRender where that is too much."""
        self.read(cost.characters)
        self.turn(cost.turns, 0)
        self.step(cost.steps)

    def spend(self, value: object) -> None:
        """Count the characters of a text that a filter reads."""
        if isinstance(value, str):
            self.read(len(value))

    def read(self, characters: int) -> None:
        """Count characters that a filter reads."""
        self.left -= characters
        if self.left < 0:
            raise CannotRender("filters read too many characters: use fewer filters, or shorter values")

    def turn(self, turns: int, steps: int) -> None:
        """Count the turns of a loop, of so many steps each."""
        self.turns -= turns
        if self.turns < 0:
            raise CannotRender(f"all loops together go round at most {self._allowed.turns:,} times")
        self.step(turns * steps)

    def work(self, characters: int) -> None:
        """Count characters that are compared or joined within a loop."""
        self.step(characters // _CHARACTERS_OF_A_STEP)

    def step(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise CannotRender("loops do too much: write less into them, or give shorter lists")
        if self._shared is not None:
            self._shared.left -= steps
            if self._shared.left < 0:
                raise CannotRender("the loops of one request do too much: hand this mail in with another request")
