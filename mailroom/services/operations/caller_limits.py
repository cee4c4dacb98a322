"""Limits on how often a caller may do something. Counts belong to a token's owner, so a rotation starts no new count.

Each check raises TooMany. Without a limit nothing is counted, and Redis is not asked.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from mailroom.coordination.counters import Counters
from mailroom.domain.callers import counted_as
from mailroom.domain.errors import TooMany
from mailroom.domain.principals import Principal

_MINUTE: Final = timedelta(minutes=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CallerBudget:
    """The limits of the settings; None is no limit. A token's own limits replace them."""

    counters: Counters
    sign_ins_per_minute: int | None
    requests_per_minute: int | None
    reports_per_minute: int | None
    mails_per_day: int | None

    def check_sign_in(self, address: str) -> None:
        """Count a try to sign in from this address."""
        self._check(f"sign-in:{counted_as(address)}", self.sign_ins_per_minute, "sign-ins a minute from this address")

    def check_request(self, who: Principal) -> None:
        most = who.requests_per_minute or self.requests_per_minute
        self._check(f"requests:{who.owner}", most, "requests a minute with this token")

    def check_report(self, who: Principal) -> None:
        """Count a reading of a report."""
        self._check(f"reports:{who.owner}", self.reports_per_minute, "reports a minute with this token")

    def take_mails(self, who: Principal, count: int, *, now: datetime) -> None:
        """Count this many single mails, handed in on this day (UTC)."""
        most = who.mails_per_day or self.mails_per_day
        if most is not None and self.counters.take(_day(who, now), most=most, span=_DAY, count=count) is not None:
            midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
            raise TooMany(f"at most {most:,} mails a day with this token", midnight - now)

    def give_back_mails(self, who: Principal, count: int, *, now: datetime) -> None:
        """Take so many mails off the count again: they were refused, or known already."""
        if count and (who.mails_per_day or self.mails_per_day) is not None:
            self.counters.give_back(_day(who, now), count)

    def _check(self, name: str, most: int | None, what: str) -> None:
        if most is None:
            return
        wait = self.counters.take(name, most=most, span=_MINUTE)
        if wait is not None:
            raise TooMany(f"at most {most:,} {what}", wait)


def _day(who: Principal, now: datetime) -> str:
    return f"mails:{who.owner}:{now.astimezone(UTC):%Y-%m-%d}"
