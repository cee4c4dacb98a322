"""The check of a draft as a whole: every fault at once, or a checked value."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from mailroom.domain.addresses import parse_mailbox, parse_mailboxes, written_as_list
from mailroom.domain.attached_files import AttachedFile, attached, check_files
from mailroom.domain.audiences import Known, Recipient, check_recipients, known_variables
from mailroom.domain.bodies.written import Written
from mailroom.domain.delivery_checks import faults_of_delivery
from mailroom.domain.draft_bodies import checked_bodies
from mailroom.domain.draft_texts import faults_of_texts
from mailroom.domain.drafts import Draft, Kept
from mailroom.domain.emails.model import Attachment
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.feeds.checking import check_feed
from mailroom.domain.feeds.model import Feed
from mailroom.domain.limits import MAX_AUDIENCES, MAX_GRACE_S
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.recipient_times import DeliveryTime
from mailroom.domain.recurrence.checking import check_recurrence
from mailroom.domain.recurrence.model import Recurrence
from mailroom.domain.said_by_templates import at_template, faults_of_choice
from mailroom.domain.schedules import DEFAULT_GRACE_S, Misfire, MisfireFields, MisfirePolicy
from mailroom.domain.templates import Template

T = TypeVar("T")


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


def check_draft(draft: Draft, *, now: datetime, kept: Kept | None = None) -> Checked:
    """The draft in the form to store. `recipients` is empty if the stored recipients stay.

    Raises InvalidInput with every fault of every field.
    """
    kept = kept or Kept()
    draft, misnamed = _with_template(draft, kept.template)
    faults = faults_of_texts(draft)
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
    bodies = checked_bodies(draft, known, recipients or (), kept, faults)
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
    """The faults of naming the recipients in more than one way. `audiences` may name the `audience` again, as a stored
    schedule shows both."""
    again = draft.audience is not None and list(draft.audiences) == [draft.audience]
    ways = [name for name in ("audience", "audiences", "segments") if getattr(draft, name)]
    ways = [name for name in ways if not (again and name == "audiences")]
    faults = [Fault(name, "give either an audience or recipients") for name in ways if draft.recipients]
    if draft.audience and len(ways) > 1:
        faults += [Fault(name, "give it without audience, which names the only one") for name in ways[1:]]
    if draft.exclude and draft.recipients:
        faults.append(Fault("exclude", "leaves out contacts of audiences: a list of its own is given as it is"))
    for name in ("audiences", "segments", "exclude"):
        if len(getattr(draft, name) or ()) > MAX_AUDIENCES:
            faults.append(Fault(name, f"at most {MAX_AUDIENCES}"))
    return faults


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


def _or_none(faults: list[Fault], check: Callable[[], T]) -> T | None:
    try:
        return check()
    except InvalidInput as error:
        faults += error.faults
        return None
