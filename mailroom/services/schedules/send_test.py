"""Test sends of a campaign: single mails to addresses that a person names. They are marked, count on no report of the
schedule, and ask for no consent: whoever tests gets them, unless an address gets no mail at all (scope `all`). Their
link to unsubscribe is an example, and they have no headers of a list."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mailroom.domain.addresses import InvalidAddress, check_address, fold
from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.emails.model import Priority
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.ids import ScheduleId
from mailroom.domain.limits import MAX_SUBJECT
from mailroom.domain.rendered_mails import RenderedMail
from mailroom.feeds.fetching import Fetcher
from mailroom.services.mails.accept import AcceptedMail
from mailroom.services.schedules import carried_files, proofs
from mailroom.services.schedules.rendering import render
from mailroom.storage.database import Db

MOST: Final = 10  # addresses of one test
_SHOWN: Final = 60  # characters of a wrong address
TAG: Final = "test"
HandIn = Callable[[Sequence[tuple[EmailDraft, str | None]]], Sequence[AcceptedMail | Exception]]
_MARK: Final = "[Test] "


@dataclass(frozen=True, slots=True)
class TestMail:
    """A test that was handed in."""

    address: str
    accepted: AcceptedMail


def send(
    db: Db,
    schedule_id: ScheduleId,
    to: Sequence[str],
    *,
    contact: str | None,
    link: str,
    feeds: Fetcher,
    key: str,
    hand_in: HandIn,
) -> list[TestMail]:
    """Hand in the newest content, as `contact` would get it (None: the first of the audience), for each of these
    addresses. The same `key` sends each once. `hand_in`: as `Outbox.hand_in_many`, within the caller's limits.

    Raises ScheduleNotFound, InvalidInput with a fault for each wrong address, and what `hand_in` raises or answers.
    """
    by_address = _checked(to)
    mail = render(db, proofs.of_schedule(db, schedule_id), contact, link=link, feeds=feeds)
    files = _files(db, mail)
    asked = f"{schedule_id} for {fold(contact) if contact else 'the first'}"
    drafts: list[tuple[EmailDraft, str | None]] = [
        (replace(_draft(mail, schedule_id, address, asked), attachments=files), _key(key, schedule_id, folded))
        for folded, address in by_address.items()
    ]
    answers = hand_in(drafts)
    return [TestMail(address, _taken(answer)) for address, answer in zip(by_address.values(), answers, strict=True)]


def _taken(answer: AcceptedMail | Exception) -> AcceptedMail:
    if isinstance(answer, Exception):
        raise answer
    return answer


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
            faults.append(Fault(f"to[{index}]", f"{text[:_SHOWN]}: {error}"))
    if faults:
        raise InvalidInput(*faults)
    return addresses


def _draft(mail: RenderedMail, schedule_id: ScheduleId, address: str, asked: str) -> EmailDraft:
    return EmailDraft(
        sender=mail.headers["From"],
        reply_to=mail.headers.get("Reply-To", ""),
        to=[address],
        subject=f"{_MARK}{mail.subject}"[:MAX_SUBJECT],
        text=mail.text,
        html=mail.html,
        headers=mail.own_headers,
        tags=[TAG],
        metadata={"test_of": schedule_id},
        priority=Priority.HIGH,  # somebody waits for it
        test_of=asked,
    )


def _files(db: Db, mail: RenderedMail) -> list[dict[str, str]]:
    """Its attachments, as a single mail gives them."""
    return [
        {
            "filename": file.filename,
            "content_type": file.content_type,
            "content_id": file.content_id,
            "content": base64.b64encode(file.content).decode(),
        }
        for file in carried_files.of_mail(db, mail)
    ]


def _key(key: str, schedule_id: ScheduleId, folded: str) -> str:
    return f"test-{hashlib.sha256(f'{schedule_id}/{key}/{folded}'.encode()).hexdigest()[:40]}"
