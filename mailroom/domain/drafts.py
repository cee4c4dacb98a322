"""The draft of a schedule, and its check as a whole: every fault at once, or a checked value."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypedDict, TypeVar

from mailroom.domain.addresses import (
    NOT_IN_A_HEADER,
    InvalidAddress,
    breaks_header,
    parse_mailbox,
    parse_mailboxes,
    written_as_list,
)
from mailroom.domain.attached_files import AttachedFile, attached, check_files
from mailroom.domain.audiences import Known, Recipient, check_recipients, known_variables
from mailroom.domain.bodies.checking import Check, finished_or_faults
from mailroom.domain.bodies.finish import Finished
from mailroom.domain.bodies.written import Written, as_written
from mailroom.domain.campaign_content import faults_of_links
from mailroom.domain.content import check_content, faults_of_language
from mailroom.domain.delivery_checks import faults_of_delivery
from mailroom.domain.emails.model import Attachment
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.feeds.checking import check_feed
from mailroom.domain.feeds.model import Feed, FeedFields
from mailroom.domain.limits import (
    MAX_AUDIENCES,
    MAX_GRACE_S,
    MAX_HTML,
    MAX_NAME,
    MAX_SUBJECT,
    MAX_TAG,
    MAX_TAGS,
    MAX_TEXT,
)
from mailroom.domain.own_headers import faults_beside_topic, faults_of_headers
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.model import Recurrence, RecurrenceFields
from mailroom.domain.run_values import FEED
from mailroom.domain.said_by_templates import at_template, faults_of_choice
from mailroom.domain.schedules import DEFAULT_GRACE_S, Misfire, MisfireFields, MisfirePolicy
from mailroom.domain.template_checks import KnownNames, lacking_by_count, lacking_in_audience, with_hint_at_topics
from mailroom.domain.template_filling import UNSUBSCRIBE_URL
from mailroom.domain.template_language import PROVIDERS_OWN
from mailroom.domain.templates import Template
from mailroom.domain.topics import Topic

T = TypeVar("T")
_EXAMPLE_URL: Final = "https://mail.example.com/u/example"


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
class Checked:
    """A draft that can be stored: parsed, normalized, within every limit."""

    name: str
    sender: str
    reply_to: str
    subject: str
    text: str
    html: str
    tags: tuple[str, ...]
    recurrence: Recurrence
    misfire: Misfire
    recipients: tuple[Recipient, ...]
    topic: str  # '' without one
    footer: str  # a postal address, or ''
    feed: Feed | None
    written: Written | None  # what text and html were made of; None: they are as they were written
    headers: tuple[tuple[str, str], ...]
    delivery: DeliveryTime
    default_time_zone: str  # '': that of the recurrence
    template: PinnedTemplate | None
    files: tuple[AttachedFile, ...]
    new_files: tuple[Attachment, ...]  # those of them that come with the draft


_LIMITS: Final = {"name": MAX_NAME, "subject": MAX_SUBJECT, "text": MAX_TEXT, "html": MAX_HTML}


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored values that need no second check; None for a value that is new."""

    recurrence: Recurrence | None = None
    audience: Known | None = None
    topic: Topic | None = None  # of the id in the draft, if it exists
    template: Template | None = None  # of the name in the draft, if it exists
    files: tuple[AttachedFile, ...] = ()


def check_draft(draft: Draft, *, now: datetime, kept: Kept | None = None) -> Checked:
    """The draft in the form to store. `recipients` is empty if the stored recipients stay.

    Raises InvalidInput with every fault of every field.
    """
    kept = kept or Kept()
    draft, misnamed = _with_template(draft, kept.template)
    faults = _faults_of_texts(draft)
    recurrence = kept.recurrence or _checked_recurrence(draft, faults, now)
    misfire = _or_none(faults, lambda: _check_misfire(draft.misfire))
    faults += faults_of_delivery(draft.delivery, draft.default_time_zone, rule=recurrence, misfire=misfire)
    feed = _checked_feed(draft, faults)
    named = kept.audience or draft.audience or draft.audiences or draft.segments
    recipients = [] if named else _or_none(faults, lambda: check_recipients(draft.recipients))
    faults += _faults_of_choice(draft)
    known = kept.audience or (Known(known_variables(recipients), recipients[0]) if recipients else None)
    if draft.topic and kept.topic is None:
        faults.append(Fault("topic", f"there is no topic {draft.topic}; make it first"))
    new_files = check_files(draft.attachments or (), faults)
    bodies = _checked_bodies(draft, known, recipients or (), kept, faults)
    if misnamed or faults or bodies is None or recurrence is None or misfire is None or recipients is None:
        raise InvalidInput(*misnamed, *(at_template(faults) if draft.template and not misnamed else faults))
    return Checked(
        name=draft.name.strip(),
        sender=str(parse_mailbox(draft.sender)),
        reply_to=written_as_list(parse_mailboxes(draft.reply_to)) if draft.reply_to.strip() else "",
        subject=draft.subject.strip(),
        text=bodies.text,
        html=bodies.html,
        tags=tuple(dict.fromkeys(draft.tags)),
        recurrence=recurrence,
        misfire=misfire,
        recipients=tuple(recipients),
        topic=kept.topic.id if kept.topic else "",
        footer=kept.topic.postal_address if kept.topic and kept.topic.footer else "",
        feed=feed,
        written=None if draft.written == Written(bodies.text, bodies.html) else draft.written,
        headers=tuple(draft.headers.items()),
        delivery=DeliveryTime(draft.delivery),
        default_time_zone=draft.default_time_zone,
        template=kept.template.pin if draft.template and kept.template else None,
        files=kept.files if draft.attachments is None else tuple(map(attached, new_files)),
        new_files=new_files,
    )


def _with_template(draft: Draft, template: Template | None) -> tuple[Draft, list[Fault]]:
    """The draft with what its template says, and the faults of naming it. A draft that is refused in any case gets
    stand-ins, so that all other faults are found."""
    if draft.template is None:
        return draft, []
    said = {name: getattr(draft, name) for name in ("subject", "text", "html", "markdown", "mjml", "preheader")}
    faults = faults_of_choice(template, said)
    if template is None or faults:
        return replace(draft, subject=draft.subject or "x", text=draft.text or "x", preheader=""), faults
    return replace(draft, subject=template.subject, text=template.text or draft.text, html=template.html), []


def _faults_of_choice(draft: Draft) -> list[Fault]:
    """The faults of naming the recipients in more than one way."""
    ways = [name for name in ("audience", "audiences", "segments") if getattr(draft, name)]
    faults = [Fault(name, "give either an audience or recipients") for name in ways if draft.recipients]
    if draft.audience and len(ways) > 1:
        faults += [Fault(name, "give it without audience, which names the only one") for name in ways[1:]]
    if draft.exclude and draft.recipients:
        faults.append(Fault("exclude", "leaves out contacts of audiences: a list of its own is given as it is"))
    for name in ("audiences", "segments", "exclude"):
        if len(getattr(draft, name) or ()) > MAX_AUDIENCES:
            faults.append(Fault(name, f"at most {MAX_AUDIENCES}"))
    return faults


def _faults_of_texts(draft: Draft) -> list[Fault]:
    """The faults of names, addresses, tags and lengths."""
    faults = []
    for name, limit in _LIMITS.items():
        if len(getattr(draft, name) or "") > limit:
            faults.append(Fault(name, f"at most {limit:,} characters"))
    for name in ("name", "subject"):
        if not getattr(draft, name).strip():
            faults.append(Fault(name, "is needed"))
        if breaks_header(getattr(draft, name)):
            faults.append(Fault(name, NOT_IN_A_HEADER))
    if not (draft.text or "").strip() and not draft.written.has_html:
        faults.append(Fault("text", "a text or an HTML body is needed"))
    for name, path in (("sender", "from"), ("reply_to", "reply_to")):
        value = getattr(draft, name)
        if name == "reply_to" and not value.strip():
            continue
        try:
            mailboxes = parse_mailboxes(value) if name == "reply_to" else [parse_mailbox(value)]
            if any(len(mailbox.name) > MAX_NAME for mailbox in mailboxes):
                faults.append(Fault(path, f"a name has at most {MAX_NAME} characters"))
        except InvalidAddress as error:
            faults.append(Fault(path, str(error)))
    return faults + faults_of_tags(draft.tags) + _faults_of_headers(draft)


def _faults_of_headers(draft: Draft) -> list[Fault]:
    """Their values are sent as they are: a provider must not fill anything in."""
    faults = faults_of_headers(draft.headers)
    faults += [
        Fault(f"headers.{name}", f"'{own[0]}' is the provider's own substitution")
        for name, value in draft.headers.items()
        if (own := PROVIDERS_OWN.search(value))
    ]
    return faults + (faults_beside_topic(draft.headers) if draft.topic else [])


def _checked_bodies(
    draft: Draft, known: Known | None, recipients: Sequence[Recipient], kept: Kept, faults: list[Fault]
) -> Finished | None:
    """The bodies to send. `known`: the names that every recipient has; None if the list was refused."""
    html = frozenset(kept.template.html_fields) if draft.template and kept.template else frozenset[str]()
    bodies, topic = finished_or_faults(draft.subject, draft.written, _check(draft, known, recipients, html)), kept.topic
    if not isinstance(bodies, Finished):
        faults += bodies
        return None
    if topic:
        footer = topic.postal_address if topic.footer else ""
        faults += faults_of_links(draft.subject, bodies.text, bodies.html, footer=footer)
    return bodies


def _check(draft: Draft, known: Known | None, recipients: Sequence[Recipient], html: frozenset[str]) -> Check:
    """Finds the faults of templates, with the values that every recipient has. `html`: as in KnownNames."""
    if known is None or draft.in_writing:
        allowed = frozenset({FEED}) if draft.feed else frozenset[str]()
        return lambda content: faults_of_language(content, allowed, html)
    counts = Counter(name for recipient in recipients for name in recipient.variables)
    lacking = lacking_by_count(counts, len(recipients)) if recipients else _lacking_in(known)
    variables, example = known.variables, known.example.context()
    if draft.topic:
        variables, example = variables | {UNSUBSCRIBE_URL}, example | {UNSUBSCRIBE_URL: _EXAMPLE_URL}
    names = KnownNames(variables, with_hint_at_topics(lacking), html=html)
    known_names = names.with_feed() if draft.feed else names
    return lambda content: check_content(content, known_names, example)


def _lacking_in(known: Known) -> Callable[[str], str]:
    return lacking_in_audience if known.having is None else lacking_by_count(known.having, known.total)


def _checked_recurrence(draft: Draft, faults: list[Fault], now: datetime) -> Recurrence | None:
    asked = draft.recurrence
    if asked is None:
        faults.append(Fault("recurrence", "Missing data for required field."))
        return None
    return _or_none(faults, lambda: check_recurrence(**asked, now=now))


def _checked_feed(draft: Draft, faults: list[Fault]) -> Feed | None:
    asked = draft.feed
    return _or_none(faults, lambda: check_feed(asked)) if asked is not None else None


def _check_misfire(misfire: MisfireFields) -> Misfire:
    """Raises InvalidInput."""
    grace_s = misfire.get("grace_s", DEFAULT_GRACE_S)
    try:
        policy = MisfirePolicy(misfire.get("policy", MisfirePolicy.RUN_ONCE))
    except ValueError:
        raise InvalidInput(Fault("misfire.policy", f"one of {', '.join(MisfirePolicy)}")) from None
    if not 0 <= grace_s <= MAX_GRACE_S:
        raise InvalidInput(Fault("misfire.grace_s", f"a whole number of seconds from 0 to {MAX_GRACE_S:,}"))
    return Misfire(policy, grace_s)


def faults_of_tags(tags: Sequence[str]) -> list[Fault]:
    if len(tags) > MAX_TAGS:
        return [Fault("tags", f"at most {MAX_TAGS} tags")]
    return [
        Fault(f"tags[{index}]", f"a tag has 1 to {MAX_TAG} printable ASCII characters")
        for index, tag in enumerate(tags)
        if not (tag.strip() and tag.isascii() and tag.isprintable() and len(tag) <= MAX_TAG)
    ]


def _or_none(faults: list[Fault], check: Callable[[], T]) -> T | None:
    try:
        return check()
    except InvalidInput as error:
        faults += error.faults
        return None
