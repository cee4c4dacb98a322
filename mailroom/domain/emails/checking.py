"""A requested mail, and its check as a whole: every fault at once, or a mail that can be stored."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mailroom.domain.addresses import (
    NOT_IN_A_HEADER,
    InvalidAddress,
    breaks_header,
    fold,
    parse_mailbox,
    parse_mailboxes,
    written_as_list,
)
from mailroom.domain.bodies.checking import faults_of_shape, finished_template, of_written
from mailroom.domain.bodies.finish import Finished, finish
from mailroom.domain.bodies.places import PlaceLost
from mailroom.domain.bodies.written import Written, as_written
from mailroom.domain.content import render_once
from mailroom.domain.draft_texts import faults_of_tags
from mailroom.domain.emails.attachments import check_attachments, check_size
from mailroom.domain.emails.model import Addressee, Body, Email, OnDoubt, Place, Priority
from mailroom.domain.emails.topics import Leaving, faults_of_topic, with_way_out
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import (
    MAX_MAIL_RECIPIENTS,
    MAX_METADATA,
    MAX_METADATA_VALUE,
    MAX_SEND_AHEAD_S,
    MAX_SUBJECT,
    MAX_VARIABLE_NAME,
)
from mailroom.domain.list_headers import beside, list_headers
from mailroom.domain.own_headers import faults_of_headers
from mailroom.domain.plain_values import faults_of_variables
from mailroom.domain.said_by_templates import faults_of_choice
from mailroom.domain.template_filling import UNSUBSCRIBE_URL
from mailroom.domain.template_spending import SharedSteps
from mailroom.domain.templates import Template


@dataclass(frozen=True, slots=True)
class EmailDraft:
    """A mail as requested. If `templated`, subject, text and html are templates, rendered with `variables`, even if
    there are none. A variable is a text, a number, null, or a list or an object of these. Instead, `template` may name
    a stored template."""

    sender: str
    to: Sequence[str]
    subject: str = ""
    text: str | None = field(default=None, metadata={"digest_of_none": ""})  # None: made from the HTML
    html: str = ""
    reply_to: str = ""
    cc: Sequence[str] = ()
    bcc: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Mapping[str, str]] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    priority: str = Priority.NORMAL
    send_at: datetime | None = None
    template: str = ""
    on_doubt: str = field(default=OnDoubt.WAIT, metadata={"compared": "if given"})
    topic: str = field(default="", metadata={"compared": "if given"})
    markdown: str = field(default="", metadata={"compared": "if given"})  # in place of html
    mjml: str = field(default="", metadata={"compared": "if given"})  # in place of html
    preheader: str = field(default="", metadata={"compared": "if given"})
    inline_css: bool = field(default=False, metadata={"compared": "if given"})
    # Of a test send: what was asked for. An Idempotency-Key compares this, not the content: a feed may have changed.
    test_of: str = field(default="", metadata={"compared": False})
    # Derived from `variables`, so an Idempotency-Key does not compare it.
    templated: bool = field(default=False, metadata={"compared": False})


_LINK_PLACE: Final = re.compile(rf"\{{\{{\s*{UNSUBSCRIBE_URL}\s*\}}\}}")  # in texts that are no templates
_SINGLE: Final = "single"
_METADATA_WORDS: Final = (
    f"a printable name of at most {MAX_VARIABLE_NAME}, and a value of at most {MAX_METADATA_VALUE} characters"
)


def check_email(
    draft: EmailDraft,
    *,
    now: datetime,
    template: Template | None = None,
    leaving: Leaving | None = None,
    steps: SharedSteps | None = None,
) -> Email:
    """The mail in the form to store. A repeated address stays only in its first place. `template`: the stored template
    of the name in the draft, if it exists. `leaving`: how the reader leaves the topic in the draft, if it exists.
    `steps`: those that its loops share with those of other mails.

    Raises InvalidInput with every fault of every field.
    """
    faults: list[Fault] = []
    sender = _mailbox(draft.sender, "from", faults)
    reply_to = _reply_to(draft.reply_to, faults) if draft.reply_to.strip() else ""
    addressees = _addressees(draft, faults)
    link = leaving.link_of(addressees[0].mailbox.address) if leaving and addressees else ""
    written = _written(draft, template, faults, link, steps)
    if draft.topic:
        faults += faults_of_topic(draft.topic, leaving, len(addressees), draft.headers)
        written = with_way_out(written, leaving, link, faults)
    attachments = check_attachments(draft.attachments, faults)
    faults += faults_of_headers(draft.headers) + faults_of_tags(draft.tags) + _faults_of_metadata(draft.metadata)
    if draft.priority not in list(Priority):
        faults.append(Fault("priority", f"one of {', '.join(Priority)}"))
    if draft.on_doubt not in list(OnDoubt):
        faults.append(Fault("on_doubt", f"one of {', '.join(OnDoubt)}"))
    send_at = _send_at(draft.send_at, now, faults)
    if faults:
        raise InvalidInput(*faults)
    also = beside(leaving.mailto_of(link)) if leaving and link else ""
    own = list_headers(draft.topic, sender=sender, link=link, also=also, origin=_SINGLE)
    body = Body(written["text"], written["html"], {**draft.headers, **own}, attachments)
    check_size(body)
    return Email(
        sender=sender,
        reply_to=reply_to,
        addressees=addressees,
        subject=written["subject"],
        body=body,
        tags=tuple(dict.fromkeys(draft.tags)),
        metadata=dict(draft.metadata),
        priority=Priority(draft.priority),
        send_at=send_at,
        on_doubt=OnDoubt(draft.on_doubt),
        is_test=bool(draft.test_of),
        topic=draft.topic,
        template=template.pin if template else None,
    )


def _mailbox(text: str, path: str, faults: list[Fault]) -> str:
    try:
        return str(parse_mailbox(text))
    except InvalidAddress as error:
        faults.append(Fault(path, str(error)))
        return ""


def _reply_to(text: str, faults: list[Fault]) -> str:
    try:
        return written_as_list(parse_mailboxes(text))
    except InvalidAddress as error:
        faults.append(Fault("reply_to", str(error)))
        return ""


def _addressees(draft: EmailDraft, faults: list[Fault]) -> list[Addressee]:
    addressees: dict[str, Addressee] = {}
    for place in Place:
        for index, text in enumerate(getattr(draft, place)):
            try:
                mailbox = parse_mailbox(text)
            except InvalidAddress as error:
                faults.append(Fault(f"{place}[{index}]", str(error)))
                continue
            addressees.setdefault(fold(mailbox.address), Addressee(mailbox, place))
    if not draft.to:
        faults.append(Fault("to", "at least one address is needed"))
    if len(addressees) > MAX_MAIL_RECIPIENTS:
        faults.append(Fault("to", f"at most {MAX_MAIL_RECIPIENTS} addresses in to, cc and bcc together"))
    return list(addressees.values())


def _written(
    draft: EmailDraft, template: Template | None, faults: list[Fault], link: str, steps: SharedSteps | None
) -> dict[str, str]:
    """Subject, text and html as the recipient will read them. `link`: '' without a topic."""
    variables = {**draft.variables, UNSUBSCRIBE_URL: link} if link else draft.variables
    written = {"subject": draft.subject, "text": draft.text or "", "html": draft.html}
    bodies = as_written(
        draft.text, draft.html, draft.markdown, draft.preheader, inline_css=draft.inline_css, mjml=draft.mjml
    )
    if draft.template:
        others = {"markdown": draft.markdown, "mjml": draft.mjml, "preheader": draft.preheader}
        wrong = faults_of_choice(template, written | others)
        faults += wrong
        if template is None or wrong:
            return written
        missing = sorted(template.variables - variables.keys())
        if missing:
            faults += [Fault(f"variables.{name}", "the template asks for it") for name in missing]
            return written
        written = template.content
        text = template.text or draft.text
        bodies = as_written(text, template.html, "", draft.preheader, inline_css=draft.inline_css)
    if draft.variables or draft.templated or draft.template:
        html = frozenset(template.html_fields) if template else frozenset[str]()
        written = _rendered(written["subject"], bodies, variables, faults, steps, html)
    elif wrong := faults_of_shape(bodies):
        faults += wrong
        written["html"] = bodies.page_source
    else:
        finished = _finished(bodies, faults)
        written |= {"text": finished.text, "html": finished.html}
        written |= {name: _LINK_PLACE.sub(link, written[name]) for name in ("text", "html") if link}
    if not written["subject"].strip():
        faults.append(Fault("subject", "is needed"))
    if len(written["subject"]) > MAX_SUBJECT:
        faults.append(Fault("subject", f"at most {MAX_SUBJECT} characters"))
    if breaks_header(written["subject"]):
        faults.append(Fault("subject", NOT_IN_A_HEADER))
    if not written["text"].strip() and not written["html"].strip():
        faults.append(Fault("text", "a text or an HTML body is needed"))
    return written | {"subject": written["subject"].strip()}


def _rendered(
    subject: str,
    bodies: Written,
    variables: Mapping[str, Any],
    faults: list[Fault],
    steps: SharedSteps | None,
    html: frozenset[str],
) -> dict[str, str]:
    source = {"subject": subject, "text": bodies.text or "", "html": bodies.page_source}
    if wrong := faults_of_variables(variables):
        faults += wrong
        return source
    refused: Sequence[Fault] = ()
    try:
        finished = finished_template(bodies, html)
    except InvalidInput as error:
        finished, refused = Finished(source["text"], ""), error.faults
    try:
        rendered = render_once(source | {"text": finished.text, "html": finished.html}, variables, steps, html)
    except InvalidInput as error:
        refused = [*refused, *of_written(bodies, error.faults)]
    faults += refused
    return source if refused else rendered


def _finished(bodies: Written, faults: list[Fault]) -> Finished:
    """Of bodies that are no templates."""
    try:
        return finish(bodies, templated=False)
    except PlaceLost as error:
        faults.append(Fault(bodies.page_field, str(error)))
        return Finished(bodies.text or "", bodies.page_source)


def _faults_of_metadata(metadata: Mapping[str, str]) -> list[Fault]:
    if len(metadata) > MAX_METADATA:
        return [Fault("metadata", f"at most {MAX_METADATA} entries")]
    return [
        Fault(f"metadata.{name}", _METADATA_WORDS)
        for name, value in metadata.items()
        if not 0 < len(name) <= MAX_VARIABLE_NAME or not name.isprintable() or len(value) > MAX_METADATA_VALUE
    ]


def _send_at(asked: datetime | None, now: datetime, faults: list[Fault]) -> datetime | None:
    if asked is None:
        return None
    if asked.tzinfo is None:
        faults.append(Fault("send_at", "needs an offset, such as 2026-12-01T09:00:00+01:00"))
        return None
    if asked - now > timedelta(seconds=MAX_SEND_AHEAD_S):
        faults.append(Fault("send_at", "at most a year ahead"))
    return asked.astimezone(UTC) if asked > now else None
