"""Single mails, listed by the state of a recipient."""

from typing import Any

from mailroom.domain.emails.checking import EmailDraft
from mailroom.domain.messages.states import MessageState
from mailroom.services.mails import view as mail_view
from mailroom.services.mails.accept import Outbox
from mailroom.storage.database import Db


def test_a_mail_of_which_several_recipients_are_in_a_state_is_on_one_page_only(db: Db) -> None:
    draft: dict[str, Any] = {"sender": "a@mg.example.com", "subject": "Hi", "text": "Hello"}
    outbox = Outbox(db, lanes=4)
    for number in range(7):
        outbox.hand_in(EmailDraft(to=[f"{number}-{n}@example.org" for n in range(3)], **draft), owner="ann")
    db.messages.update_many({}, {"$set": {"state": MessageState.FAILED}})

    seen: list[str] = []
    before, pages = None, 0
    while pages == 0 or before:
        shown, before = mail_view.page_in_state(db, MessageState.FAILED, before=before, limit=4)
        seen += [one.email.id for one in shown]
        pages += 1

    assert len(seen) == len(set(seen)) == 7
    assert pages > 2
