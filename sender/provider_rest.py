"""A provider that refuses our account rests until its Retry-After; other providers get the mail."""

from datetime import timedelta

from mailroom.domain.dispatches.outcomes import Refused
from mailroom.domain.dispatches.retry_or_halve import ACCOUNT_WAIT, MAX_ACCOUNT_WAIT
from sender.faults import Faults
from sender.pace import Pace
from sender.provider_router import ProviderRouter


class ProviderRest:
    """Thread-safe."""

    def __init__(self, router: ProviderRouter, pace: Pace, faults: Faults) -> None:
        self._router, self._pace, self._faults = router, pace, faults

    def account_refused(self, provider: str, refused: Refused) -> None:
        """Let the provider rest for its Retry-After, or for a minute if it gives none. While it is the only provider,
        its pace alone slows it."""
        self._pace.refused(provider)
        self.rest(provider, refused, refused.retry_after or ACCOUNT_WAIT)

    def rest(self, provider: str, refused: Refused, span: timedelta) -> None:
        """Let the provider rest for this time, six hours at most, and note the reason for doctor and the pages."""
        self._faults.note(provider, refused.reason)
        self._router.rest(provider, min(span, MAX_ACCOUNT_WAIT), refused.reason)
