"""Consent of readers: what a reader gets, and the journal of what they left and joined."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mailroom.domain.ids import RunId
from mailroom.domain.suppressions import Entry, Suppression, forbidden
from mailroom.domain.topics import Topic, scopes_of_campaign


class ConsentAct(StrEnum):
    LEFT = "left"
    COMPLAINED = "complained"  # reported as spam, which leaves all campaigns
    JOINED = "joined"  # by a form, or again after the reader had left


#: In the journal: who wrote an entry, if no person with a name did.
BY_ONE_CLICK: Final = "one_click"  # the mail program's button
BY_MAIL: Final = "mail"  # a mail to the address in List-Unsubscribe
BY_PAGE: Final = "page"  # the page behind the link
BY_FORM: Final = "form"  # a form of a topic that asks for no confirmation
BY_CONFIRMATION: Final = "confirmation"  # a form, and then the link in the confirmation mail


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """One act. `address` is folded. `scope`: a topic, or `campaigns` for all. `by`: the way it came: one of the
    constants above, a provider, or a person. `run`: the run or single mail whose mail carried the link; None if
    unknown.

    Of a form: `asked_at`, when it was posted, of what was confirmed later; `name`, as it was typed, '' for none.
    `once`: a name under which there is one entry at most; '' for an entry without one."""

    address: str
    act: ConsentAct
    scope: str
    at: datetime
    by: str
    run: RunId | None
    asked_at: datetime | None = None
    name: str = ""
    once: str = ""


@dataclass(frozen=True, slots=True)
class TopicChoice:
    """A topic, and whether mail of it goes to a reader; `reason`: why it does not, '' if it does."""

    topic: Topic
    reason: str

    @property
    def subscribed(self) -> bool:
        return not self.reason


def choices_of(topics: Sequence[Topic], suppression: Suppression | None) -> list[TopicChoice]:
    """What a reader with this suppression gets."""
    entries: Sequence[Entry] = suppression.entries if suppression else ()
    return [TopicChoice(topic, forbidden(entries, scopes_of_campaign(topic.id)) or "") for topic in topics]
