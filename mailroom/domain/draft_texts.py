"""The check of the texts of a draft that are no bodies: name, subject, addresses, tags and headers."""

from collections.abc import Callable, Sequence
from typing import Final

from mailroom.domain.addresses import (
    NOT_IN_A_HEADER,
    InvalidAddress,
    Mailbox,
    breaks_header,
    parse_mailbox,
    parse_mailboxes,
)
from mailroom.domain.drafts import Draft
from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_HTML, MAX_NAME, MAX_SUBJECT, MAX_TAG, MAX_TAGS, MAX_TEXT
from mailroom.domain.own_headers import faults_beside_topic, faults_of_headers
from mailroom.domain.template_language import PROVIDERS_OWN

_LIMITS: Final = {"name": MAX_NAME, "subject": MAX_SUBJECT, "text": MAX_TEXT, "html": MAX_HTML}


def faults_of_texts(draft: Draft) -> list[Fault]:
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
    faults += _faults_of_mailboxes("from", lambda: [parse_mailbox(draft.sender)])
    if draft.reply_to.strip():
        faults += _faults_of_mailboxes("reply_to", lambda: parse_mailboxes(draft.reply_to))
    return faults + faults_of_tags(draft.tags) + _faults_of_headers(draft)


def _faults_of_mailboxes(path: str, parse: Callable[[], Sequence[Mailbox]]) -> list[Fault]:
    try:
        too_long = any(len(mailbox.name) > MAX_NAME for mailbox in parse())
    except InvalidAddress as error:
        return [Fault(path, str(error))]
    return [Fault(path, f"a name has at most {MAX_NAME} characters")] if too_long else []


def _faults_of_headers(draft: Draft) -> list[Fault]:
    """Their values are sent as they are: a provider must not fill anything in."""
    faults = faults_of_headers(draft.headers)
    faults += [
        Fault(f"headers.{name}", f"'{own[0]}' is the provider's own substitution")
        for name, value in draft.headers.items()
        if (own := PROVIDERS_OWN.search(value))
    ]
    return faults + (faults_beside_topic(draft.headers) if draft.topic else [])


def faults_of_tags(tags: Sequence[str]) -> list[Fault]:
    if len(tags) > MAX_TAGS:
        return [Fault("tags", f"at most {MAX_TAGS} tags")]
    return [
        Fault(f"tags[{index}]", f"a tag has 1 to {MAX_TAG} printable ASCII characters")
        for index, tag in enumerate(tags)
        if not (tag.strip() and tag.isascii() and tag.isprintable() and len(tag) <= MAX_TAG)
    ]
