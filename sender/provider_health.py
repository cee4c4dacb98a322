"""The health of the providers by the outcomes of calls: reported to router, throttle, pace, speeds and faults."""

from collections.abc import Iterable, Sequence

from mailroom.domain.dispatches.outcomes import CallResult, InPart, Outcome, Refusal, Refused, health_of
from sender.faults import Faults
from sender.pace import Pace
from sender.provider_rest import ProviderRest
from sender.provider_router import ProviderRouter
from sender.rate_limits import Throttle
from sender.speeds import Speeds
from sender.too_many_requests import TooManyRequests


class ProviderHealth:
    """Thread-safe."""

    def __init__(self, router: ProviderRouter, throttle: Throttle, pace: Pace, speeds: Speeds, faults: Faults) -> None:
        self._router, self._pace, self._speeds, self._faults = router, pace, speeds, faults
        self._rest = ProviderRest(router, pace, faults)
        self._too_many_requests = TooManyRequests(self._rest, throttle, pace)

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
            self._too_many_requests.answered(provider, refused)
        else:
            self._rest.account_refused(provider, refused)


def _refusals(outcome: Outcome) -> Iterable[Refused]:
    """The refusals in an outcome: of the whole call, or of its recipients, each distinct one once."""
    if isinstance(outcome, Refused):
        return (outcome,)
    if isinstance(outcome, InPart):
        return set(outcome.refused.values())
    return ()
