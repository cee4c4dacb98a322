"""A single mail. It goes to its recipients in one call, and each recipient has its own message with a state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from msgspec import Struct

from mailroom.domain.addresses import Mailbox
from mailroom.domain.ids import EmailId
from mailroom.domain.pinned_templates import PinnedTemplate


class Priority(StrEnum):
    """The urgency of a single mail: for instance a password reset, an ordinary mail, an invoice."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Rank(IntEnum):
    """The order in which pending dispatches are claimed. Campaigns go last: no person waits for them."""

    HIGH = 0
    NORMAL = 1
    LOW = 2
    CAMPAIGN = 3


class OnDoubt(StrEnum):
    """What to do with a single mail whose call is in doubt."""

    WAIT = "wait"  # until it is known what came of the call
    ELSEWHERE = "elsewhere"  # it goes by another provider, and may go twice: see domain/dispatches/elsewhere.py


RANK_OF: Final = {Priority.HIGH: Rank.HIGH, Priority.NORMAL: Rank.NORMAL, Priority.LOW: Rank.LOW}


def kind_and_priority(rank: Rank) -> tuple[str, str]:
    """A rank in words: `single` and its priority, or `campaign` and `none`."""
    return ("campaign", "none") if rank is Rank.CAMPAIGN else ("single", rank.name.lower())


class Place(StrEnum):
    """The header field of a recipient. Recipients in `bcc` are hidden from the others."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


class Addressee(Struct, frozen=True):
    """One recipient of a single mail."""

    mailbox: Mailbox
    place: Place


class Attachment(Struct, frozen=True):
    """An attached file. With a `content_id` it is shown inside the HTML (`cid:...`), not beside it."""

    filename: str
    content_type: str
    content: bytes
    content_id: str = ""


class Body(Struct, frozen=True):
    """The rendered content of a single mail. Searches for mails do not read it."""

    text: str
    html: str
    headers: Mapping[str, str]
    attachments: Sequence[Attachment]

    @property
    def size(self) -> int:
        """Bytes, before encoding for transport."""
        return len(self.text.encode()) + len(self.html.encode()) + sum(len(a.content) for a in self.attachments)


@dataclass(frozen=True, slots=True)
class ShownAttachment:
    """An attachment without its content. `size`: bytes."""

    filename: str
    content_type: str
    content_id: str
    size: int


@dataclass(frozen=True, slots=True)
class ShownBody:
    """A stored body for people to read. `cut`: the names of the texts of which only the beginning is here."""

    text: str
    html: str
    attachments: Sequence[ShownAttachment]
    cut: tuple[str, ...] = ()


class Email(Struct, frozen=True):
    """A single mail that can be stored and sent. `send_at`: None means at once."""

    sender: str
    reply_to: str
    addressees: Sequence[Addressee]
    subject: str
    body: Body
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    priority: Priority
    send_at: datetime | None
    on_doubt: OnDoubt = OnDoubt.WAIT
    is_test: bool = False  # a test send of a campaign
    topic: str = ""  # what its only reader may leave; '' for mail that needs no consent
    template: PinnedTemplate | None = None  # the version that it was made of

    def at(self, place: Place) -> list[Mailbox]:
        return [one.mailbox for one in self.addressees if one.place is place]


class StoredEmail(Struct, frozen=True, kw_only=True):
    """A stored mail without its body. Bodies have a shorter retention."""

    id: EmailId
    sender: str
    reply_to: str
    addressees: Sequence[Addressee]  #: the recipients named in its headers
    recipients: Sequence[str]  #: folded addresses of all recipients
    source: EmailId | None = None  #: for a resend: the mail that did not reach these recipients
    subject: str
    tags: Sequence[str]
    metadata: Mapping[str, str]
    priority: Priority
    size: int  #: bytes of its body
    on_doubt: OnDoubt = OnDoubt.WAIT
    is_test: bool = False  #: a test send of a campaign
    topic: str = ""  #: '' for mail that needs no consent
    template: PinnedTemplate | None = None  #: the version that it was made of
    send_at: datetime | None = None  #: the earliest time to send; None: at once
    created_at: datetime  #: when the API accepted it

    def with_body(self, body: Body) -> Email:
        """The whole mail, ready to send."""
        return Email(
            sender=self.sender,
            reply_to=self.reply_to,
            addressees=self.addressees,
            subject=self.subject,
            body=body,
            tags=tuple(self.tags),
            metadata=self.metadata,
            priority=self.priority,
            send_at=self.send_at,
            on_doubt=self.on_doubt,
            is_test=self.is_test,
            topic=self.topic,
            template=self.template,
        )
