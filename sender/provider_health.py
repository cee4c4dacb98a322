"""How the providers do, as the outcomes of calls show it: told to the router, and to the limits."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from mailroom.domain.outcomes import InPart, Outcome, Refusal, Refused, health_of
from mailroom.domain.retries import ACCOUNT_WAIT, MAX_ACCOUNT_WAIT
from mailroom.services.dispatching.outcomes import Result
from sender.faults import Faults
from sender.pace import Pace
from sender.provider_router import ProviderRouter
from sender.throttle import Throttle

_STUCK: Final = 4  # answers about our pace in a row, and nothing taken between them


class ProviderHealth:
    """Any thread may tell."""

    def __init__(self, router: ProviderRouter, throttle: Throttle, pace: Pace, faults: Faults) -> None:
        self._router, self._throttle, self._pace, self._faults = router, throttle, pace, faults

    def tell(self, batch: Sequence[Result]) -> None:
        """Before they are written down: what is refused now may go elsewhere at once."""
        counts: dict[str, tuple[int, int]] = {}
        for result in batch:
            provider, works = result.claimed.provider, health_of(result.outcome)
            if works is not None:
                good, bad = counts.get(provider, (0, 0))
                counts[provider] = (good + works, bad + (not works))
            for refused in _refusals(result.outcome):
                self._refused(provider, refused)
        for provider, (good, _) in counts.items():
            if good:
                self._pace.accepted(provider, good)
                self._faults.well(provider)
        self._router.tell(counts)

    def _refused(self, provider: str, refused: Refused) -> None:
        if refused.broke:
            self._pace.broke(provider)
        if refused.kind is not Refusal.ACCOUNT:
            return
        if refused.too_fast:
            self._too_fast(provider, refused)
            return
        self._pace.refused(provider)
        self._faults.tell(provider, refused.reason)
        self._router.rest(provider, min(refused.retry_after or ACCOUNT_WAIT, MAX_ACCOUNT_WAIT), refused.reason)

    def _too_fast(self, provider: str, refused: Refused) -> None:
        """A slow provider is not down: it keeps its mail, at its pace, unless it takes nothing at all for a while."""
        self._throttle.too_fast(provider, refused.retry_after)
        pause_s = self._pace.too_fast(provider, refused.retry_after.total_seconds() if refused.retry_after else None)
        if refused.is_brief and self._pace.failures(provider) < _STUCK:
            return
        self._faults.tell(provider, refused.reason)
        wait = max(refused.retry_after or timedelta(), timedelta(seconds=pause_s))
        self._router.rest(provider, min(wait, MAX_ACCOUNT_WAIT), refused.reason)


def _refusals(outcome: Outcome) -> Iterable[Refused]:
    """The refusals in an outcome: of the whole call, or of its recipients, each distinct one once."""
    if isinstance(outcome, Refused):
        return (outcome,)
    if isinstance(outcome, InPart):
        return set(outcome.refused.values())
    return ()
