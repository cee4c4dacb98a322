"""Test sends of a campaign: single mails to addresses that a person names. They are marked, count on no report of the
schedule, and ask for no consent: whoever tests gets them, unless the mailbox does not exist."""

import hashlib
from collections.abc import Sequence
from typing import Final

from mailroom.domain.addresses import InvalidAddress, check_address, fold
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import Priority
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.domain.limits import MAX_SUBJECT
from mailroom.services.schedules.rendering import RenderedMail

MOST: Final = 10  # addresses of one test
TAG: Final = "test"
_MARK: Final = "[Test] "


def drafts_of(
    mail: RenderedMail, schedule_id: ScheduleId, to: Sequence[str], *, key: str
) -> list[tuple[EmailDraft, str]]:
    """A single mail for each address, with its own Idempotency-Key: the same `key` sends each once. Raises InvalidInput
    with a fault for each wrong address."""
    by_address = _checked(to)
    return [
        (_draft(mail, schedule_id, address), _key(key, schedule_id, folded)) for folded, address in by_address.items()
    ]


def _checked(to: Sequence[str]) -> dict[str, str]:
    """By folded address: the addresses, each once."""
    faults: list[Fault] = []
    addresses: dict[str, str] = {}
    if not 0 < len(to) <= MOST:
        faults.append(Fault("to", f"1 to {MOST} addresses"))
    for index, text in enumerate(to[:MOST]):
        try:
            address = check_address(text)
            addresses.setdefault(fold(address), address)
        except InvalidAddress as error:
            faults.append(Fault(f"to[{index}]", str(error)))
    if faults:
        raise InvalidInput(*faults)
    return addresses


def _draft(mail: RenderedMail, schedule_id: ScheduleId, address: str) -> EmailDraft:
    return EmailDraft(
        sender=mail.headers["From"],
        reply_to=mail.headers.get("Reply-To", ""),
        to=[address],
        subject=f"{_MARK}{mail.subject}"[:MAX_SUBJECT],
        text=mail.text,
        html=mail.html,
        tags=[TAG],
        metadata={"test_of": schedule_id, "rendered_for": mail.recipient.address},
        priority=Priority.HIGH,  # somebody waits for it
    )


def _key(key: str, schedule_id: ScheduleId, folded: str) -> str:
    return f"test-{hashlib.sha256(f'{schedule_id}/{key}/{folded}'.encode()).hexdigest()[:40]}"
