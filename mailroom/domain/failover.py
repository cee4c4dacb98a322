"""Failover: each waiting dispatch goes by the first provider of its order that takes it now.

A dispatch in doubt never comes here: it stays with the provider of its call until it is reconciled.

| provider | gets |
| --- | --- |
| out of reach | nothing, while another one can be reached |
| its circuit is open | nothing |
| its circuit is half open | a dispatch now and then, as a probe |
| it asks to wait, or its rate is used up | nothing more |
| slow beside the others | single mails as samples, and what no other one takes |

Of the last two, a campaign's dispatch goes to another provider only if that one carries it whole: both pass, and the
parts of a divided dispatch never come together again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.circuits import CircuitState
from mailroom.domain.dispatches.model import Claimable
from mailroom.domain.slowness import LARGEST_BYTES


@dataclass(frozen=True, slots=True)
class Route:
    """A provider as of now. `carries`: the most mails of a campaign in one call. `room`: the calls that its pace lets
    go now; None: any number."""

    carries: int
    circuit: CircuitState = CircuitState.CLOSED
    reachable: bool = True
    slow: bool = False
    room: int | None = None


_LEAST_ASIDE: Final = timedelta(seconds=1)
_MOST_ASIDE: Final = timedelta(minutes=1)


def stands_aside_for(due_at: datetime | None, now: datetime) -> timedelta:
    """How long a dispatch that its provider does not take now lets others go before it: a quarter of the time that it
    has waited for. The more wait, the longer each of them has waited, and the less often it is looked at."""
    waited = now - due_at if due_at else timedelta()
    return min(max(waited / 4, _LEAST_ASIDE), _MOST_ASIDE)


Ask = Callable[[str], bool]


@dataclass(slots=True)
class ProviderChoice:
    """Divides waiting dispatches among providers.

    `probe(name)`: whether a call may be made now to a provider whose circuit is half open; `sample(name)`: whether one
    mail should go there for the sake of its duration. Each permits one call, and is asked once for each provider.
    """

    routes: Mapping[str, Route]
    probe: Ask
    sample: Ask
    _given: dict[str, int] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    def divide(
        self, waiting: Sequence[Claimable], order_of: Callable[[Claimable], Sequence[str]]
    ) -> dict[str, list[Claimable]]:
        """The dispatches of each provider, in the order in which they wait. A dispatch of no provider must wait.

        `order_of`: the enabled providers by which a dispatch may go, the first choice first.
        """
        parts: dict[str, list[Claimable]] = {}
        least_urgent = next((one for one in reversed(waiting) if _is_small(one)), None)
        for dispatch in waiting:
            name = self._provider_of(dispatch, order_of(dispatch), as_sample=dispatch is least_urgent)
            if name is not None:
                self._given[name] = self._given.get(name, 0) + 1
                parts.setdefault(name, []).append(dispatch)
        return parts

    def _provider_of(self, dispatch: Claimable, order: Sequence[str], *, as_sample: bool) -> str | None:
        if len(order) < 2:
            return order[0] if order else None  # without another provider, waiting would help nobody
        order = [name for name in order if self.routes[name].reachable] or order
        if as_sample and (name := self._wanting_a_sample(order)):
            return name
        whole, last_choice = False, None
        for name in order:
            route = self.routes[name]
            if route.circuit is CircuitState.HALF and self._has_room(name) and self._may_probe(name):
                return name
            if route.circuit is not CircuitState.CLOSED or (whole and not _carries_whole(route, dispatch)):
                continue
            if self._has_room(name) and not route.slow:
                return name
            whole = True
            if last_choice is None and self._has_room(name):
                last_choice = name
        return last_choice

    def _wanting_a_sample(self, order: Sequence[str]) -> str | None:
        closed = [name for name in order if self.routes[name].circuit is CircuitState.CLOSED and self._has_room(name)]
        return next((name for name in closed if self.sample(name)), None)

    def _has_room(self, name: str) -> bool:
        room = self.routes[name].room
        return room is None or self._given.get(name, 0) < room

    def _may_probe(self, name: str) -> bool:
        if name in self._asked:
            return False
        self._asked.add(name)
        return self.probe(name)


def _carries_whole(route: Route, dispatch: Claimable) -> bool:
    return dispatch.schedule_id is None or dispatch.messages <= route.carries


def _is_small(dispatch: Claimable) -> bool:
    return dispatch.messages == 1 and dispatch.size <= LARGEST_BYTES
