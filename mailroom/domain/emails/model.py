"""A single mail. It goes to its recipients in one call, and each of them has a message of its own with its state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Final

from mailroom.domain.addresses import Mailbox


class Priority(StrEnum):
    """How urgent a single mail is: a password reset, an ordinary mail, an invoice."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Rank(IntEnum):
    """The order in which waiting dispatches are begun. What campaigns plan goes last: nobody waits for it."""

    HIGH = 0
    NORMAL = 1
    LOW = 2
    CAMPAIGN = 3


RANK_OF: Final = {Priority.HIGH: Rank.HIGH, Priority.NORMAL: Rank.NORMAL, Priority.LOW: Rank.LOW}


class Place(StrEnum):
    """Where a recipient stands in a mail. Nobody sees those in `bcc`."""

    TO = "to"
    CC = "cc"
    BCC = "bcc"


@dataclass(frozen=True, slots=True)
class Addressee:
    """One recipient of a single mail."""

    mailbox: Mailbox
    place: Place


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along. With a `content_id` it is shown inside the HTML (`cid:...`), not beside it."""

    filename: str
    content_type: str
    content: bytes
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Body:
    """What a single mail says: rendered, and never read by a person looking for a mail."""

    text: str
    html: str
    headers: Mapping[str, str]
    attachments: Sequence[Attachment]

    @property
    def size(self) -> int:
        """Bytes, before anything is encoded for the way."""
        return len(self.text.encode()) + len(self.html.encode()) + sum(len(a.content) for a in self.attachments)


@dataclass(frozen=True, slots=True)
class Email:
    """A single mail that can be stored and sent. `send_at` is None for at once."""

    sender: str
    reply_to: str
    addressees: Sequence[Addressee]
    subject: str
    body: Body
    tags: tuple[str, ...]
    metadata: Mapping[str, str]
    priority: Priority
    send_at: datetime | None

    def at(self, place: Place) -> list[Mailbox]:
        return [one.mailbox for one in self.addressees if one.place is place]
