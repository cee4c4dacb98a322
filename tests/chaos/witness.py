"""What the providers took, both records together: how often each mail went out, to whom, and when."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.world import World


@dataclass(frozen=True, slots=True)
class Copy:
    """A mail that a provider took, and when. `run`: of a single mail its own id, or ''."""

    run: str
    address: str
    subject: str
    at: float


def copies(world: "World") -> list[Copy]:
    """Every copy of every mail."""
    first = [
        Copy(_run_of(mail["user_variables"]), mail["recipient"], mail["subject"], mail["accepted_at"])
        for mail in world.system.simulator.mails()
    ]
    second = [
        Copy(kept.ids.get("mailroom_run", ""), address, kept.subject, kept.at)
        for kept in world.backup.kept
        for address in kept.recipients
    ]
    return first + second


def times_of(some: Iterable[Copy]) -> Counter[tuple[str, str]]:
    """How often each mail went out, by run and address."""
    return Counter((copy.run, copy.address) for copy in some)


def by_run(some: Iterable[Copy]) -> Mapping[str, Mapping[str, Sequence[float]]]:
    """When each mail went out, by run and address."""
    found: dict[str, dict[str, list[float]]] = {}
    for copy in some:
        found.setdefault(copy.run, {}).setdefault(copy.address, []).append(copy.at)
    return found


def _run_of(variables: str) -> str:
    return str(json.loads(variables).get("run", ""))
