"""What a 429 (too many requests, or a server's word for it) does to a provider: it gets mail more slowly."""

from datetime import timedelta
from typing import Final

from mailroom.domain.dispatches.outcomes import Refused
from sender.pace import Pace
from sender.provider_rest import ProviderRest
from sender.rate_limits import Throttle

_STUCK: Final = 4  # throttling answers in a row, without an acceptance


class TooManyRequests:
    """Thread-safe."""

    def __init__(self, rest: ProviderRest, throttle: Throttle, pace: Pace) -> None:
        self._rest, self._throttle, self._pace = rest, throttle, pace

    def answered(self, provider: str, refused: Refused) -> None:
        """A provider with a limit is not down: it gets mail at its pace, unless it takes nothing at all for a while.
        The router gives the remaining mail to another provider. The refused dispatch waits by `retry_or_halve.py`."""
        self._throttle.too_fast(provider, refused.retry_after)
        pause_s = self._pace.too_fast(provider, refused.retry_after.total_seconds() if refused.retry_after else None)
        if refused.is_brief and self._pace.failures(provider) < _STUCK:
            return
        self._rest.rest(provider, refused, max(refused.retry_after or timedelta(), timedelta(seconds=pause_s)))
