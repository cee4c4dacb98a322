"""The draft of a schedule: what is asked for, and what is stored already."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from mailroom.domain.attached_files import AttachedFile
from mailroom.domain.audiences import Known
from mailroom.domain.bodies.written import Written, as_written
from mailroom.domain.feeds.model import FeedFields
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.model import Recurrence, RecurrenceFields
from mailroom.domain.schedules import MisfireFields
from mailroom.domain.templates import Template
from mailroom.domain.topics import Topic


@dataclass(frozen=True, slots=True)
class Draft:
    """A schedule as requested. `recipients`: rows of address, name and variables, or checked recipients. In their place
    `audience`, the id of a listed audience, or `audiences` and `segments`: an address goes by the first that holds it.
    `exclude`: nothing goes to the contacts of these audiences and segments; None: as stored."""

    name: str
    sender: str
    recurrence: RecurrenceFields | None  # None: the stored recurrence stays
    subject: str = ""
    text: str | None = field(default=None, metadata={"digest_of_none": ""})  # None: made from the HTML
    html: str = ""
    reply_to: str = ""
    recipients: Sequence[object] = ()
    audience: str = ""
    misfire: MisfireFields = field(default_factory=MisfireFields)
    in_writing: bool = field(default=False, metadata={"compared": False})  # recipients may lack its merge fields
    tags: Sequence[str] = ()
    topic: str | None = field(default=None, metadata={"compared": "if given"})  # None: it needs no consent
    audiences: Sequence[str] = field(default=(), metadata={"compared": "if given"})
    segments: Sequence[str] = field(default=(), metadata={"compared": "if given"})
    exclude: Sequence[str] | None = field(default=None, metadata={"compared": "if given"})
    feed: FeedFields | None = field(default=None, metadata={"compared": "if given"})
    markdown: str = field(default="", metadata={"compared": "if given"})  # in place of html
    mjml: str = field(default="", metadata={"compared": "if given"})  # in place of html
    preheader: str = field(default="", metadata={"compared": "if given"})
    inline_css: bool = field(default=True, metadata={"compared": "if given"})
    headers: Mapping[str, str] = field(default_factory=dict, metadata={"compared": "if given"})
    delivery: str = field(default=DeliveryTime.SCHEDULE_TIME, metadata={"compared": "if given"})
    default_time_zone: str = field(default="", metadata={"compared": "if given"})  # '': that of the recurrence
    template: str | None = field(default=None, metadata={"compared": "if given"})  # says subject and bodies
    # As of single mails; None: as stored
    attachments: Sequence[Mapping[str, str]] | None = field(default=None, metadata={"compared": "if given"})

    @property
    def written(self) -> Written:
        return as_written(
            self.text, self.html, self.markdown, self.preheader, inline_css=self.inline_css, mjml=self.mjml
        )


class DraftChanges(TypedDict, total=False):
    """The fields of a draft that are to change."""

    name: str
    sender: str
    subject: str
    recurrence: RecurrenceFields
    text: str | None
    html: str
    reply_to: str
    recipients: Sequence[object]
    audience: str
    misfire: MisfireFields
    tags: Sequence[str]
    topic: str | None
    audiences: Sequence[str]
    segments: Sequence[str]
    exclude: Sequence[str]
    feed: FeedFields | None
    markdown: str
    mjml: str
    preheader: str
    inline_css: bool
    headers: Mapping[str, str]
    delivery: str
    default_time_zone: str
    template: str | None
    attachments: Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored values that need no second check; None for a value that is new."""

    recurrence: Recurrence | None = None
    audience: Known | None = None
    topic: Topic | None = None  # of the id in the draft, if it exists
    template: Template | None = None  # of the name in the draft, if it exists
    files: tuple[AttachedFile, ...] = ()
