"""The counts of a report, and the rates derived from them."""

from dataclasses import dataclass, fields
from typing import Final, Self

#: The provider that tells no events: bounces of its mails come by mail, if at all.
WITHOUT_WEBHOOKS: Final = "smtp"


@dataclass(frozen=True, slots=True)
class Report:
    """Counts of messages (recipients), except where the name says opens. Each count comes from facts, so that it
    equals a recount of the events.

    `time_passed`: those of the cancelled that were skipped: the time had passed in their recipients' time zones.
    `total_opens` and `unique_opens` count opens by people; `machine_opens` counts opens by proxies and scanners.
    `bounces_unmeasured`: mails whose bounces nobody would learn of, because they went by SMTP and no mailbox is read.
    """

    recipients: int = 0
    queued: int = 0
    sent: int = 0
    delivered: int = 0
    deferred: int = 0
    unique_opens: int = 0
    total_opens: int = 0
    machine_opens: int = 0
    unique_clicks: int = 0
    bounced: int = 0
    complained: int = 0
    unsubscribed: int = 0
    rejected: int = 0
    failed: int = 0
    suppressed: int = 0
    cancelled: int = 0
    in_doubt: int = 0
    unknown: int = 0
    time_passed: int = 0
    bounces_unmeasured: int = 0

    @property
    def known_bounces(self) -> int | None:
        """The bounces; None where none is known and some could not be: that is no 0."""
        return None if self.bounces_unmeasured and not self.bounced else self.bounced

    @property
    def open_rate(self) -> float | None:
        """Unique opens among delivered mails, 0 to 1; None before the first delivery."""
        if not self.delivered:
            return None
        # An open may be reported before its delivery: the rate is never over 1.
        return min(1.0, self.unique_opens / self.delivered)

    @property
    def click_rate(self) -> float | None:
        return min(1.0, self.unique_clicks / self.delivered) if self.delivered else None

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))
