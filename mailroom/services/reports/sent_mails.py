"""What a run sent to a recipient, as it was rendered then: from the revision of the content that the run took, its own
copy of the feed, and the values that planning stored with the mail. Nothing of it changes later."""

from dataclasses import dataclass
from typing import Final

from mailroom.domain.erasures import ERASED
from mailroom.domain.errors import MessageContentNotFound
from mailroom.domain.ids import MessageId, RunId, run_of_message
from mailroom.domain.messages.model import Message
from mailroom.domain.rendered_mails import RenderedMail, rendered_from_parts
from mailroom.domain.run_values import NO_RUN_VALUES
from mailroom.domain.runs import Run
from mailroom.services.common.run_values import ValuesOfRuns
from mailroom.storage.database import Db
from mailroom.storage.messages import document as messages
from mailroom.storage.schedules import contents, runs

_FIRST: Final = 20  # messages of a run, among which the first of a standing recipient is looked for


@dataclass(frozen=True, slots=True)
class SentMail:
    """`content`: None if the message goes in no call; it has the reason. None too if its recipient was erased.
    `before`, `after`: the messages beside it in the run."""

    message: Message
    run: Run
    content: RenderedMail | None
    before: MessageId | None
    after: MessageId | None


def of_message(db: Db, message_id: MessageId, *, link: str) -> SentMail:
    """A mail of a run. `link`: in place of the reader's own link to unsubscribe, by which anybody could.

    Raises MessageNotFound, RunNotFound for a single mail.
    """
    message = messages.whole(db, message_id)
    run = runs.get(db, run_of_message(message_id))
    content = contents.get(db, run.schedule_id, run.revision)
    values = ValuesOfRuns(db).of({run.id: content}).get(run.id, NO_RUN_VALUES)
    mail = rendered_from_parts(content, message, values, link=link)
    before, after = messages.beside(db, message_id)
    return SentMail(message, run, mail, before, after)


def content_of_message(db: Db, message_id: MessageId, *, link: str) -> RenderedMail:
    """As `of_message`. Raises MessageContentNotFound too, for a message that goes in no call."""
    content = of_message(db, message_id, link=link).content
    if content is None:
        raise MessageContentNotFound(message_id)
    return content


def first_of(db: Db, run_id: RunId) -> MessageId | None:
    """A message of the run, where possible to somebody who is not erased; None while it has none."""
    found = messages.page(db, run_id, state=None, after="", limit=_FIRST)
    standing = (one for one in found if one.address != ERASED)
    return next(standing, found[0]).id if found else None
