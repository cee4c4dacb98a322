"""The health of the providers by the outcomes of calls: reported to router, throttle, pace, speeds and faults."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final

from mailroom.domain.dispatches.outcomes import CallResult, InPart, Outcome, Refusal, Refused, health_of
from mailroom.domain.dispatches.retry_or_halve import ACCOUNT_WAIT, MAX_ACCOUNT_WAIT
from sender.faults import Faults
from sender.pace import Pace
from sender.provider_router import ProviderRouter
from sender.speeds import Speeds
from sender.throttle import Throttle

_STUCK: Final = 4  # throttling answers in a row, without an acceptance


class ProviderHealth:
    """Thread-safe."""

    def __init__(self, router: ProviderRouter, throttle: Throttle, pace: Pace, speeds: Speeds, faults: Faults) -> None:
        self._router, self._throttle, self._pace, self._speeds, self._faults = router, throttle, pace, speeds, faults

    def report(self, batch: Sequence[CallResult]) -> None:
        """Report these results before they are recorded: a refused dispatch may then go to another provider at once."""
        counts: dict[str, tuple[int, int]] = {}
        for result in batch:
            provider, works = result.claimed.provider, health_of(result.outcome)
            if works is not None:
                good, bad = counts.get(provider, (0, 0))
                counts[provider] = (good + works, bad + (not works))
            for refused in _refusals(result.outcome):
                self._refused(provider, refused)
            self._speeds.note(result, self._router.takes_mail)
        slow = self._speeds.reasons()
        for provider, (good, _) in counts.items():
            if good:
                self._pace.accepted(provider, good)
            if good and provider not in slow:
                self._faults.clear(provider)
        for provider, reason in slow.items():
            self._faults.note(provider, reason, slow=True)
        self._router.report(counts)

    def _refused(self, provider: str, refused: Refused) -> None:
        if refused.broke:
            self._pace.broke(provider)
        if refused.kind is not Refusal.ACCOUNT:
            return
        if refused.too_fast:
            self._too_fast(provider, refused)
            return
        self._pace.refused(provider)
        self._faults.note(provider, refused.reason)
        self._router.rest(provider, min(refused.retry_after or ACCOUNT_WAIT, MAX_ACCOUNT_WAIT), refused.reason)

    def _too_fast(self, provider: str, refused: Refused) -> None:
        """A provider with a limit is not down: it gets mail at its pace, unless it takes nothing at all for a while.
        The router gives the rest to another provider."""
        self._throttle.too_fast(provider, refused.retry_after)
        pause_s = self._pace.too_fast(provider, refused.retry_after.total_seconds() if refused.retry_after else None)
        if refused.is_brief and self._pace.failures(provider) < _STUCK:
            return
        self._faults.note(provider, refused.reason)
        wait = max(refused.retry_after or timedelta(), timedelta(seconds=pause_s))
        self._router.rest(provider, min(wait, MAX_ACCOUNT_WAIT), refused.reason)


def _refusals(outcome: Outcome) -> Iterable[Refused]:
    """The refusals in an outcome: of the whole call, or of its recipients, each distinct one once."""
    if isinstance(outcome, Refused):
        return (outcome,)
    if isinstance(outcome, InPart):
        return set(outcome.refused.values())
    return ()
