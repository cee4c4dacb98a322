"""Limits on how often callers may act. A count belongs to a token's owner, so a rotation starts no new count.

Each check raises TooMany. Without a limit nothing is counted, and Redis is not asked; links in mails, and
forms for one mail address, always have one.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from mailroom.coordination.counters import Counters
from mailroom.domain.addresses import fold
from mailroom.domain.callers import counted_as
from mailroom.domain.errors import TooMany
from mailroom.domain.principals import Principal

T = TypeVar("T")
_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_LINK_A_MINUTE: Final = 20
_FOR_AN_ADDRESS_AN_HOUR: Final = 5  # subscriptions by form


@dataclass(frozen=True, slots=True)
class CallerBudget:
    """The limits of the settings; None means no limit. A token's own limits replace them."""

    counters: Counters
    sign_ins_per_minute: int | None
    requests_per_minute: int | None
    reports_per_minute: int | None
    subscriptions_per_minute: int | None
    all_subscriptions_per_minute: int | None
    mails_per_day: int | None

    def check_sign_in(self, address: str) -> None:
        """Count an attempt to sign in from this address. Raises TooMany."""
        self._check(f"sign-in:{counted_as(address)}", self.sign_ins_per_minute, "sign-ins a minute from this address")

    def check_request(self, actor: Principal) -> None:
        """Count a request of this actor. Raises TooMany."""
        most = actor.requests_per_minute or self.requests_per_minute
        self._check(f"requests:{actor.owner}", most, "requests a minute with this token")

    def check_report(self, actor: Principal) -> None:
        """Count a report that this actor reads. Raises TooMany."""
        self._check(f"reports:{actor.owner}", self.reports_per_minute, "reports a minute with this token")

    def check_link(self, token: str) -> None:
        """Count a change by this link of a mail. Raises TooMany."""
        # The token alone unsubscribes its reader: Redis gets its digest.
        self._check(f"link:{_digest(token)}", _LINK_A_MINUTE, "changes a minute by one link")

    def check_subscription(self, client: str, address: str) -> None:
        """Count a subscription by form that this client asks for this mail address. Raises TooMany."""
        one, every = self.subscriptions_per_minute, self.all_subscriptions_per_minute
        self._check(f"subscribe-from:{counted_as(client)}", one, "subscriptions a minute from here")
        name = f"subscribe-for:{_digest(fold(address))}"
        self._check(name, _FOR_AN_ADDRESS_AN_HOUR, "subscriptions an hour for one email address", span=_HOUR)
        # Last: one visitor, or one address, does not use up what all others have.
        self._check("subscribe", every, "subscriptions a minute")

    def take_mails(self, actor: Principal, count: int, *, now: datetime) -> None:
        """Count `count` single mails handed in on this day (UTC). Raises TooMany; none of them is counted then."""
        most = actor.mails_per_day or self.mails_per_day
        if most is not None and self.counters.take(_day(actor, now), most=most, span=_DAY, count=count) is not None:
            midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
            raise TooMany(f"at most {most:,} mails a day with this token", midnight - now)

    def give_back_mails(self, actor: Principal, count: int, *, now: datetime) -> None:
        """Subtract `count` mails again: they were refused, or stored before."""
        if count and (actor.mails_per_day or self.mails_per_day) is not None:
            self.counters.give_back(_day(actor, now), count)

    def within_cap(self, actor: Principal, count: int, work: Callable[[], tuple[T, int]], *, now: datetime) -> T:
        """The answer of `work`, which hands in `count` single mails, within the actor's cap of a day. `work` returns
        (answer, number of new mails); only new mails count. Raises TooMany, and whatever `work` raises."""
        self.take_mails(actor, count, now=now)
        new = 0
        try:
            answer, new = work()
            return answer
        finally:
            self.give_back_mails(actor, count - new, now=now)

    def _check(self, name: str, most: int | None, actions: str, *, span: timedelta = _MINUTE) -> None:
        if most is None:
            return
        wait = self.counters.take(name, most=most, span=span)
        if wait is not None:
            raise TooMany(f"at most {most:,} {actions}", wait)


def _day(actor: Principal, now: datetime) -> str:
    return f"mails:{actor.owner}:{now.astimezone(UTC):%Y-%m-%d}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
