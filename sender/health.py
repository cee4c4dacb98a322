"""How the providers do, as the outcomes of calls show it: told to the routes, and to the limits."""

from collections.abc import Sequence

from mailroom.domain.outcomes import Refusal, Refused, health_of
from mailroom.domain.retries import ACCOUNT_WAIT, MAX_ACCOUNT_WAIT
from mailroom.services.recording import Result
from sender.routes import Routes
from sender.throttle import Throttle


class Health:
    """Any thread may tell."""

    def __init__(self, routes: Routes, throttle: Throttle) -> None:
        self._routes, self._throttle = routes, throttle

    def tell(self, batch: Sequence[Result]) -> None:
        """Before they are written down: what is refused now may go elsewhere at once."""
        counts: dict[str, tuple[int, int]] = {}
        for result in batch:
            provider, works = result.claimed.provider, health_of(result.outcome)
            if works is not None:
                good, bad = counts.get(provider, (0, 0))
                counts[provider] = (good + works, bad + (not works))
            if isinstance(result.outcome, Refused) and result.outcome.kind is Refusal.ACCOUNT:
                self._account_refused(provider, result.outcome)
        self._routes.tell(counts)

    def _account_refused(self, provider: str, refused: Refused) -> None:
        if refused.too_fast:
            self._throttle.too_fast(provider, refused.retry_after)
        self._routes.rest(provider, min(refused.retry_after or ACCOUNT_WAIT, MAX_ACCOUNT_WAIT), refused.reason)
