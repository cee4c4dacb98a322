"""Admission by the configured rate limits. All senders share the buckets."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from mailroom.assembly.sender import SenderServices
from mailroom.domain.dispatches.model import Claimable, Claimed
from mailroom.domain.dispatches.outcomes import CallResult, Refusal, Refused
from mailroom.domain.emails.model import Rank
from mailroom.domain.errors import Unavailable
from mailroom.domain.rate_queue import QueueClass, Wanted
from mailroom.domain.rates import Limit, LimitKind, Rate
from mailroom.services.dispatching.claims import Waiting
from mailroom.storage import rate_limits

log = structlog.get_logger()
_LOOK_S: Final = 2.0


class Throttle:
    """For one thread, except `too_fast`, which any thread may call."""

    def __init__(self, services: SenderServices) -> None:
        self._services = services
        self._limits: Mapping[str, Limit] = {}
        self._look_at = 0.0

    def look(self) -> None:
        """Read the limits, if the last reading is not recent. Raises Unavailable."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + _LOOK_S
            self._limits = {limit.id: limit for limit in rate_limits.every(self._services.db)}

    @property
    def domains(self) -> frozenset[str]:
        """Recipients' domains that have a limit."""
        return frozenset(limit.name for limit in self._limits.values() if limit.kind is LimitKind.DOMAIN)

    def most_at_once(self, provider: str) -> int | None:
        """The most mails in one call; more would by themselves break the provider's limit. None without a limit."""
        rate = self._rate(_of_provider(provider))
        return rate.at_once if rate else None

    def admit(self, provider: str, waiting: Waiting) -> Waiting:
        """The prefix of `waiting` that the provider's rate limit admits now; its tokens are already taken."""
        rate = self._rate(_of_provider(provider))
        if rate is None or not len(waiting):
            return waiting
        calls = [(_tokens_for(dispatch, rate), dispatch.rank is Rank.HIGH) for dispatch in waiting.dispatches]
        return waiting.first(self._services.rates.take(_of_provider(provider), rate, calls))

    def give_back(self, provider: str, admitted: Waiting, *, gone: int) -> None:
        """Return the tokens of the admitted mails, except for `gone` mails, which go now; the others take tokens again.
        Without Redis these tokens are lost."""
        rate = self._rate(_of_provider(provider))
        mails = sum(_tokens_for(dispatch, rate) for dispatch in admitted.dispatches) - gone if rate else 0
        if mails <= 0:
            return
        try:
            self._services.rates.give_back(_of_provider(provider), mails)
        except Unavailable as error:
            log.warning("rate_not_given_back", provider=provider, mails=mails, error=str(error))

    def held_back(self, domains: Mapping[Claimed, Mapping[str, int]]) -> list[CallResult]:
        """Refusals for the calls that may not go yet by their domains' limits; the tokens of the others are taken.

        `domains`: for each call, its mails by domain. Raises Unavailable."""
        rates = {id_: rate for id_, limit in self._limits.items() if (rate := self._rate(id_)) and _is_domain(limit)}
        mails = {c: {_of_domain(d): n for d, n in to.items() if _of_domain(d) in rates} for c, to in domains.items()}
        # A call that was held back most often goes first: else the last in the order of claims would lose each time.
        in_turn = sorted(mails, key=lambda claimed: claimed.attempt, reverse=True)
        limited = {claimed: mails[claimed] for claimed in in_turn if mails[claimed]}
        splits = [too_large for c, takes in limited.items() if (too_large := _split(c, takes, rates))]
        split = {result.claimed for result in splits}
        going = {
            c: Wanted(takes, _queue_class(c), returns=c.attempt > 1) for c, takes in limited.items() if c not in split
        }
        if not going:
            return splits
        named = {id_: rates[id_] for wanted in going.values() for id_ in wanted.takes}
        waits = self._services.rates.hold(named, list(going.values()))
        return splits + [_wait(c, going[c], wait) for c, wait in zip(going, waits, strict=True) if wait]

    def too_fast(self, provider: str, pause: timedelta | None) -> None:
        """Lower the limit of a provider that throttled us. Without Redis this has no effect: the lane waits anyway."""
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


def _queue_class(claimed: Claimed) -> QueueClass:
    if claimed.rank is Rank.HIGH:
        return QueueClass.NONE
    return QueueClass.MAILS if claimed.rank < Rank.CAMPAIGN else QueueClass.CAMPAIGNS


def _tokens_for(dispatch: Claimable, rate: Rate) -> int:
    """The tokens that a dispatch takes. A campaign's dispatch too large for the limit takes none: its parts do."""
    is_split = dispatch.schedule_id is not None and dispatch.messages > rate.at_once
    return 0 if is_split else dispatch.messages


def _of_provider(name: str) -> str:
    return f"{LimitKind.PROVIDER}/{name}"


def _of_domain(name: str) -> str:
    return f"{LimitKind.DOMAIN}/{name}"


def _is_domain(limit: Limit) -> bool:
    return limit.kind is LimitKind.DOMAIN


def _split(claimed: Claimed, takes: Mapping[str, int], rates: Mapping[str, Rate]) -> CallResult | None:
    """Refuse a call that would by itself break a limit, to be halved until no part breaks it. Usually few of its mails
    go to a limited domain, and the others should stay in one dispatch."""
    too_many = [id_ for id_, mails in takes.items() if mails > rates[id_].at_once]
    if claimed.schedule_id is None or claimed.messages == 1 or not too_many:
        return None
    why, half = f"the limit of {' and '.join(too_many)}", -(-claimed.messages // 2)
    return CallResult(claimed, Refused(Refusal.TOO_MANY, why, at_most=half))


def _wait(claimed: Claimed, wanted: Wanted, wait: timedelta) -> CallResult:
    why = f"held back by the limit of {' and '.join(wanted.takes)}"
    return CallResult(claimed, Refused(Refusal.THROTTLED, why, retry_after=wait))
