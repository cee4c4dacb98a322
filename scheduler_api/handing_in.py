"""Hand single mails in for the caller, within the token's daily cap if it has one."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from mailroom.domain.emails.checking import EmailDraft
from mailroom.services.mails.accept import AcceptedMail
from scheduler_api.auth import principal, services

T = TypeVar("T")


def hand_in(draft: EmailDraft, key: str | None) -> AcceptedMail:
    """As Outbox.hand_in; raises TooMany too."""
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
    """The answer of `work`, which returns (answer, how many mails are new); only new mails count. Raises TooMany."""
    limits, who, now, new = services().limits, principal(), datetime.now(UTC), 0
    limits.take_mails(who, count, now=now)
    try:
        answer, new = work()
        return answer
    finally:
        limits.give_back_mails(who, count - new, now=now)
