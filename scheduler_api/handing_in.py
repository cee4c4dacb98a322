"""Hand single mails in for the caller, within the token's daily cap if it has one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from mailroom.domain.emails.checking import EmailDraft
from mailroom.services.mails.accept import AcceptedMail
from scheduler_api.auth import principal, services

T = TypeVar("T")


def hand_in(draft: EmailDraft, key: str | None) -> AcceptedMail:
    """As Outbox.hand_in. Raises TooMany if the cap is reached."""
    (answer,) = hand_in_many([(draft, key)])
    if isinstance(answer, Exception):
        raise answer
    return answer


def hand_in_many(asked: Sequence[tuple[EmailDraft, str | None]]) -> list[AcceptedMail | Exception]:
    """As Outbox.hand_in_many. Raises TooMany if not all of them fit within the cap: then none is accepted."""

    def work() -> tuple[list[AcceptedMail | Exception], int]:
        answers = services().outbox.hand_in_many(asked, owner=principal().owner)
        return answers, sum(isinstance(answer, AcceptedMail) and answer.new for answer in answers)

    return within_cap(len(asked), work)


def within_cap(count: int, work: Callable[[], tuple[T, int]]) -> T:
    """As CallerBudget.within_cap, for the caller."""
    return services().limits.within_cap(principal(), count, work, now=datetime.now(UTC))
