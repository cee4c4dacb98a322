"""How much may go now, by the limits that people have set; the buckets are shared by all senders."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from mailroom.assembly import SenderServices
from mailroom.coordination.rates import QueueClass, Wanted
from mailroom.domain.dispatches.model import Claimed
from mailroom.domain.emails.model import Rank
from mailroom.domain.errors import Unavailable
from mailroom.domain.outcomes import Refusal, Refused
from mailroom.domain.rates import Limit, LimitKind, Rate
from mailroom.services.dispatching.claims import Waiting
from mailroom.services.dispatching.outcomes import Result
from mailroom.storage import rate_limits

log = structlog.get_logger()
_LOOK_S: Final = 2.0


class Throttle:
    """One thread asks what may go; any thread may tell of a provider that finds us too fast."""

    def __init__(self, services: SenderServices) -> None:
        self._services = services
        self._limits: Mapping[str, Limit] = {}
        self._look_at = 0.0

    def look(self) -> None:
        """Read the limits, now and then. Raises Unavailable."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_S
            self._limits = {limit.id: limit for limit in rate_limits.every(self._services.db)}

    @property
    def domains(self) -> frozenset[str]:
        """Recipients' domains that have a limit."""
        return frozenset(limit.name for limit in self._limits.values() if limit.kind is LimitKind.DOMAIN)

    def most_at_once(self, provider: str) -> int | None:
        """So many mails in one call at most; more would break the provider's limit by themselves."""
        rate = self._rate(_of_provider(provider))
        return rate.at_once if rate else None

    def admit(self, provider: str, waiting: Waiting) -> Waiting:
        """The first of these, as many as the provider's rate limit admits now; its tokens are already taken."""
        rate = self._rate(_of_provider(provider))
        if rate is None or not len(waiting):
            return waiting
        calls = [(_pays(doc, rate), doc.get("rank") == Rank.HIGH) for doc in waiting.dispatches]
        return waiting.first(self._services.rates.take(_of_provider(provider), rate, calls))

    def give_back(self, provider: str, admitted: Waiting, *, gone: int) -> None:
        """Of what was admitted, and has paid, so many mails go now; the others will pay again. Redis being away costs
        them."""
        rate = self._rate(_of_provider(provider))
        mails = sum(_pays(doc, rate) for doc in admitted.dispatches) - gone if rate else 0
        if mails <= 0:
            return
        try:
            self._services.rates.give_back(_of_provider(provider), mails)
        except Unavailable as error:
            log.warning("rate_not_given_back", provider=provider, mails=mails, error=str(error))

    def held_back(self, domains: Mapping[Claimed, Mapping[str, int]]) -> list[Result]:
        """Those of these calls, by their mails to limited domains, that may not go yet; the others have paid."""
        rates = {id_: rate for id_, limit in self._limits.items() if (rate := self._rate(id_)) and _is_domain(limit)}
        known = {c: {_of_domain(d): n for d, n in to.items() if _of_domain(d) in rates} for c, to in domains.items()}
        # Who was held back most often goes first: else the last in the order of claims loses each time.
        in_turn = sorted(known, key=lambda claimed: claimed.attempt, reverse=True)
        asked = {claimed: known[claimed] for claimed in in_turn if known[claimed]}
        parts = [too_large for c, takes in asked.items() if (too_large := _in_parts(c, takes, rates))]
        divided = {result.claimed for result in parts}
        going = {c: Wanted(takes, _line(c), returns=c.attempt > 1) for c, takes in asked.items() if c not in divided}
        if not going:
            return parts
        named = {id_: rates[id_] for wanted in going.values() for id_ in wanted.takes}
        waits = self._services.rates.hold(named, list(going.values()))
        return parts + [_wait(c, going[c], wait) for c, wait in zip(going, waits, strict=True) if wait]

    def too_fast(self, provider: str, pause: timedelta | None) -> None:
        """The provider says so. Redis being away changes nothing: the lane waits anyway."""
        if _of_provider(provider) not in self._limits:
            return
        try:
            factor = self._services.rates.lower(_of_provider(provider), pause)
        except Unavailable as error:
            log.warning("rate_not_lowered", provider=provider, error=str(error))
            return
        log.warning("rate_lowered", provider=provider, factor=factor, pause_s=pause.total_seconds() if pause else 0)

    def _rate(self, id_: str) -> Rate | None:
        limit = self._limits.get(id_)
        return limit.rate_at(datetime.now(UTC)) if limit else None


def _line(claimed: Claimed) -> QueueClass:
    if claimed.rank is Rank.HIGH:
        return QueueClass.NONE
    return QueueClass.MAILS if claimed.rank < Rank.CAMPAIGN else QueueClass.CAMPAIGNS


def _pays(doc: Mapping[str, Any], rate: Rate) -> int:
    """A campaign's dispatch that is too large for the limit goes on in parts, and these pay."""
    goes_in_parts = "schedule_id" in doc and doc["messages"] > rate.at_once
    return 0 if goes_in_parts else int(doc["messages"])


def _of_provider(name: str) -> str:
    return f"{LimitKind.PROVIDER}/{name}"


def _of_domain(name: str) -> str:
    return f"{LimitKind.DOMAIN}/{name}"


def _is_domain(limit: Limit) -> bool:
    return limit.kind is LimitKind.DOMAIN


def _in_parts(claimed: Claimed, takes: Mapping[str, int], rates: Mapping[str, Rate]) -> Result | None:
    """A call that would by itself break a limit goes in halves, until none of them does: few go to a limited domain, as
    a rule, and the others are to stay together."""
    too_many = [id_ for id_, mails in takes.items() if mails > rates[id_].at_once]
    if claimed.schedule_id is None or claimed.messages == 1 or not too_many:
        return None
    why, half = f"the limit of {' and '.join(too_many)}", -(-claimed.messages // 2)
    return Result(claimed, Refused(Refusal.TOO_MANY, why, at_most=half))


def _wait(claimed: Claimed, wanted: Wanted, wait: timedelta) -> Result:
    why = f"held back by the limit of {' and '.join(wanted.takes)}"
    return Result(claimed, Refused(Refusal.THROTTLED, why, retry_after=wait))
