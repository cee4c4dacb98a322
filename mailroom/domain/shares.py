"""Shares of the mail between providers: weights, also by the recipients' domain.

A dispatch draws its order of providers by the weights, as a weighted rendezvous: the order follows from the dispatch's
id alone. Every sender draws the same, a retry and a part of a split dispatch have the order of before, and the mail of
a provider that fails is divided among the others by their weights.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailroom.domain.ids import DispatchId, root_of

_ALL: Final = 2**64


@dataclass(frozen=True, slots=True)
class Shares:
    """Weights of providers by name. `by_domain`: for dispatches to one domain only; `of_others`: for all others. A
    provider without a weight gets what the others do not take. Without weights the order in force decides."""

    of_others: Mapping[str, int] = field(default_factory=dict)
    by_domain: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def providers(self) -> set[str]:
        """The providers with a share of any mail."""
        return {name for weights in (self.of_others, *self.by_domain.values()) for name in weights}

    def by_domain_of(self, provider: str) -> dict[str, int]:
        """The provider's weight for each domain for which it has one."""
        return {domain: weights[provider] for domain, weights in self.by_domain.items() if provider in weights}

    def order(self, dispatch: DispatchId, domain: str, in_force: Sequence[str]) -> Sequence[str]:
        """The providers for a dispatch, the first choice first. `domain`: of all its recipients, or ''. `in_force`: the
        enabled providers in the order in force."""
        weights = self.by_domain.get(domain, self.of_others)
        if not weights:
            return in_force
        drawn = {name: _draw(dispatch, name, weights[name]) for name in in_force if name in weights}
        return sorted(in_force, key=lambda name: drawn.get(name, math.inf))

    def domain_of(self, address: str) -> str:
        """The domain of the address if it has weights of its own, otherwise ''."""
        domain = domain_of(address)
        return domain if domain in self.by_domain else ""


NO_SHARES: Final = Shares()


def domain_of(address: str) -> str:
    return address.rpartition("@")[2].lower()


def common_domain(addresses: Iterable[str]) -> str:
    """The domain of all these addresses; '' if they have several."""
    domains = {domain_of(address) for address in addresses}
    return domains.pop() if len(domains) == 1 else ""


def _draw(dispatch: DispatchId, name: str, weight: int) -> float:
    """The lowest draw wins: an exponential draw of rate `weight` is the lowest in proportion to the weight."""
    digest = hashlib.sha256(f"{root_of(dispatch)}\x1f{name}".encode()).digest()
    uniform = (int.from_bytes(digest[:8], "big") + 1) / (_ALL + 1)
    return -math.log(uniform) / weight
