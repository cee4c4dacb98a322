"""Hand single mails in for the caller, within the token's daily cap if it has one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from mailroom.domain.emails.checking import EmailDraft
from mailroom.services.mails.accept import AcceptedMail
from mailroom.services.operations import capped_mails
from scheduler_api.auth import principal, services

T = TypeVar("T")


def hand_in(draft: EmailDraft, key: str | None) -> AcceptedMail:
    """As Outbox.hand_in. Raises TooMany if the cap is reached."""
    return capped_mails.hand_in(
        services().outbox, services().limits, draft, key, actor=principal(), now=datetime.now(UTC)
    )


def hand_in_many(asked: Sequence[tuple[EmailDraft, str | None]]) -> list[AcceptedMail | Exception]:
    """As Outbox.hand_in_many. Raises TooMany if not all of them fit within the cap: then none is accepted."""
    return capped_mails.hand_in_many(
        services().outbox, services().limits, asked, actor=principal(), now=datetime.now(UTC)
    )


def within_cap(count: int, work: Callable[[], tuple[T, int]]) -> T:
    """As CallerBudget.within_cap, for the caller."""
    return services().limits.within_cap(principal(), count, work, now=datetime.now(UTC))
