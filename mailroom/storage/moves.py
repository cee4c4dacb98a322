"""The conditions of writes, from the state tables of the domain."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

Trigger = TypeVar("Trigger", bound=StrEnum)
State = TypeVar("State", bound=StrEnum)


def leaving(moves: Mapping[Trigger, tuple[frozenset[State], State]], trigger: Trigger) -> Any:
    """A condition on `state` that selects documents which the trigger moves. A single state is compared by equality, as
    partial indexes need."""
    states = sorted(moves[trigger][0])
    return states[0] if len(states) == 1 else {"$in": states}
