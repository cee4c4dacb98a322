"""The mail that asks a reader to confirm a subscription by form: what it says, and for how long its link works.

It shows nothing that was typed into the form: else anybody could have their words sent to anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mailroom.domain.addresses import NOT_IN_A_HEADER, InvalidAddress, breaks_header, parse_mailbox
from mailroom.domain.campaign_content import BODIES, shows
from mailroom.domain.content import render_once
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_CONFIRM_WITHIN_S, MAX_CONFIRMATION, MAX_SUBJECT, MIN_CONFIRM_WITHIN_S
from mailroom.domain.mailgun_substitutions import of_mailgun
from mailroom.domain.template_filling import FIELDS

CONFIRM_URL: Final = "confirm_url"
TOPIC: Final = "topic"
DEFAULT_WITHIN_S: Final = 3 * 86_400
#: A form that is posted again sends no second mail for so long, as long as the first one's link works.
MAILED_AGAIN_AFTER: Final = timedelta(days=1)
_EXAMPLE: Final = "https://confirm.invalid/example"
_MOMENT: Final = timedelta(milliseconds=1)  # the least by which two times differ in MongoDB
_NO_LINK: Final = "the reader needs the link: write {{ confirm_url }}"
_SPAN: Final = f"from an hour ({MIN_CONFIRM_WITHIN_S:,} seconds) to 30 days ({MAX_CONFIRM_WITHIN_S:,})"

_SUBJECT: Final = "Confirm your subscription to {{ topic }}"
_TEXT: Final = """\
Hello,

someone, probably you, asked for {{ topic }} at this address. To get these emails, open this page and confirm:

{{ confirm_url }}

If it was not you, do nothing. The link stops working by itself."""
_HTML: Final = """\
<p>Hello,</p>
<p>someone, probably you, asked for <b>{{ topic }}</b> at this address. To get these emails, open this page and \
confirm:</p>
<p><a href="{{ confirm_url }}" style="display:inline-block;padding:12px 20px;border-radius:6px;background:#1d4f91;\
color:#ffffff;text-decoration:none">Confirm subscription</a></p>
<p>If it was not you, do nothing. The link stops working by itself.</p>"""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """`sender`: the From mailbox. `subject`, `text`, `html`: templates with `{{ confirm_url }}` and `{{ topic }}`.
    `within_s`: seconds for which the link works. The texts are empty where the topic has never asked for it."""

    sender: str = ""
    subject: str = ""
    text: str = ""
    html: str = ""
    within_s: int = DEFAULT_WITHIN_S

    @property
    def within(self) -> timedelta:
        return timedelta(seconds=self.within_s)


NO_CONFIRMATION: Final = Confirmation()


def check_confirmation(raw: Mapping[str, object], *, topic: str, needed: bool) -> tuple[Confirmation, list[Fault]]:
    """The confirmation in the form to store, and every fault. `topic`: its name. `needed`: the topic asks for it, so a
    sender is needed, and what is blank gets the usual words."""
    given = {field: _text_of(raw.get(f"confirm_{field}")) for field in FIELDS}
    written = _with_usual_words(given) if needed else given
    sender, faults = _sender(_text_of(raw.get("confirm_from")), needed=needed)
    within_s = raw.get("confirm_within_s", DEFAULT_WITHIN_S)
    if not _is_span(within_s):
        faults.append(Fault("confirm_within_s", _SPAN))
    faults += _faults_of(written, topic, needed=needed)
    span = within_s if isinstance(within_s, int) else DEFAULT_WITHIN_S
    return Confirmation(sender, written["subject"], written["text"], written["html"], span), faults


def renewed_before(now: datetime, left: datetime | None) -> datetime:
    """A request from before this time gives way to a new one, with a mail of its own. `left`: when the reader left the
    topic last: the links of earlier mails bring nobody back."""
    return max(now - MAILED_AGAIN_AFTER, left) if left else now - MAILED_AGAIN_AFTER


def asked_at(now: datetime, left: datetime | None) -> datetime:
    """The time of a new request: later than the reader's leaving, whatever the clock says."""
    return max(now, left + _MOMENT) if left else now


def _text_of(value: object) -> str:
    return str(value or "").strip()


def _with_usual_words(given: Mapping[str, str]) -> dict[str, str]:
    """Of the bodies, one alone may be given: then the mail has no other."""
    subject = given["subject"] or _SUBJECT
    if given["text"] or given["html"]:
        return {**given, "subject": subject}
    return {"subject": subject, "text": _TEXT, "html": _HTML}


def _sender(text: str, *, needed: bool) -> tuple[str, list[Fault]]:
    if not text:
        return "", [Fault("confirm_from", "the confirmation email needs a sender")] if needed else []
    try:
        return str(parse_mailbox(text)), []
    except InvalidAddress as error:
        return "", [Fault("confirm_from", str(error))]


def _is_span(value: object) -> bool:
    return type(value) is int and MIN_CONFIRM_WITHIN_S <= value <= MAX_CONFIRM_WITHIN_S


def _faults_of(written: Mapping[str, str], topic: str, *, needed: bool) -> list[Fault]:
    if long := [field for field, text in written.items() if len(text) > MAX_CONFIRMATION]:
        return [Fault(f"confirm_{field}", f"at most {MAX_CONFIRMATION:,} characters") for field in long]
    if own := [field for field, text in written.items() if of_mailgun([text])]:
        return [Fault(f"confirm_{field}", "substitutions of Mailgun's own are not offered here") for field in own]
    try:
        rendered = render_once(written, {CONFIRM_URL: _EXAMPLE, TOPIC: topic})
    except InvalidInput as error:
        return [Fault(f"confirm_{fault.path}", fault.message) for fault in error.faults]
    faults = [
        Fault(f"confirm_{body}", _NO_LINK)
        for body in BODIES
        if written[body] and not shows(body, rendered[body], _EXAMPLE)
    ]
    subject = rendered["subject"].strip()
    if len(subject) > MAX_SUBJECT or (needed and not subject):
        faults.append(Fault("confirm_subject", f"1 to {MAX_SUBJECT} characters with the topic's name"))
    if breaks_header(written["subject"]) or breaks_header(subject) or _EXAMPLE in subject:
        faults.append(Fault("confirm_subject", f"{NOT_IN_A_HEADER}, nor is the link"))
    return faults
