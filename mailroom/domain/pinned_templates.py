"""The version of a stored template that a mail or a schedule is made of. A version never changes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class PinnedTemplate:
    """`name`: of the template. `version`: counts its changes, from 1."""

    name: str
    version: int
