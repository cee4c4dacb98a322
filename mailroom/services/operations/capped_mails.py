"""Hand single mails in within the daily cap of the caller."""

from collections.abc import Sequence
from datetime import datetime

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.principals import Principal
from mailroom.services.mails.accept import AcceptedMail, Outbox
from mailroom.services.operations.caller_limits import CallerBudget


def hand_in(
    outbox: Outbox, limits: CallerBudget, draft: EmailDraft, key: str | None, *, actor: Principal, now: datetime
) -> AcceptedMail:
    """As Outbox.hand_in. Raises TooMany if the cap is reached."""
    (answer,) = hand_in_many(outbox, limits, [(draft, key)], actor=actor, now=now)
    if isinstance(answer, Exception):
        raise answer
    return answer


def hand_in_many(
    outbox: Outbox,
    limits: CallerBudget,
    asked: Sequence[tuple[EmailDraft, str | None]],
    *,
    actor: Principal,
    now: datetime,
) -> list[AcceptedMail | Exception]:
    """As Outbox.hand_in_many. Raises TooMany if not all of them fit within the cap: then none is accepted."""

    def work() -> tuple[list[AcceptedMail | Exception], int]:
        answers = outbox.hand_in_many(asked, owner=actor.owner)
        return answers, sum(isinstance(answer, AcceptedMail) and answer.new for answer in answers)

    return limits.within_cap(actor, len(asked), work, now=now)
