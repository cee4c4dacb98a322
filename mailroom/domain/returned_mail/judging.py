"""Decide what a mail that came back says about the mail that we sent."""

import re
from dataclasses import dataclass
from email.message import Message
from typing import Final

from mailroom.domain.bounces import enhanced_code, is_hard
from mailroom.domain.events import EventKind
from mailroom.domain.returned_mail.delivery_status import DeliveryStatus, status_of
from mailroom.domain.returned_mail.plain_bounces import answer_in, is_auto_reply, is_bounce, is_delay
from mailroom.domain.returned_mail.reading import header, part

#: Of RFC 5965 and RFC 6430: kinds of feedback that are no complaint.
_NO_COMPLAINT: Final = ("not-spam", "auth-failure")
_OF_ACTIONS: Final = {
    "failed": EventKind.BOUNCED,
    "delayed": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    # The next server does not report, or a list has taken it: nobody knows whether it arrives.
    "relayed": EventKind.FEEDBACK,
    "expanded": EventKind.FEEDBACK,
}
_CODE: Final = re.compile(r"(?<![\w.])([45]\d\d)(?=[ -])")
_MOST_WORDS: Final = 500
AUTO_REPLY: Final = "an automatic reply"


@dataclass(frozen=True, slots=True)
class Judgement:
    """`hard`: the bounce blames the address itself. `words`: the receiving server's, or the reporter's."""

    kind: EventKind
    code: int | None = None
    words: str = ""
    hard: bool = False


def feedback_type_of(mail: Message) -> str | None:
    """The kind of a feedback report (RFC 5965), such as `abuse`; None if the mail is none."""
    reported = part(mail, "message/feedback-report")
    if reported is None:
        return None
    payload = reported.get_payload()
    inner = payload[0] if isinstance(payload, list) and payload else payload
    if isinstance(inner, Message):
        return header(inner, "Feedback-Type").lower() or "other"
    found = re.search(r"(?im)^feedback-type:\s*([a-z-]{1,40})", str(inner)[:4_000])
    return found[1].lower() if found else "other"


def judge(mail: Message) -> Judgement | None:
    """What this mail to a return path of ours says; None if it says nothing that a program understands."""
    if feedback := feedback_type_of(mail):
        kind = EventKind.FEEDBACK if feedback in _NO_COMPLAINT else EventKind.COMPLAINED
        return Judgement(kind, words=feedback)
    if status := status_of(mail):
        return _reported(status)
    if is_auto_reply(mail):
        return Judgement(EventKind.FEEDBACK, words=AUTO_REPLY)
    if is_bounce(mail):
        return _in_words(mail)
    return None


def _reported(status: DeliveryStatus) -> Judgement:
    kind = _OF_ACTIONS[status.action]
    words = (status.words or status.status)[:_MOST_WORDS]
    hard = kind is EventKind.BOUNCED and is_hard(status.code, status.status, status.words, told_hard=False)
    return Judgement(kind, status.code, words, hard)


def _in_words(mail: Message) -> Judgement:
    words = answer_in(mail)
    code = _CODE.search(words)
    answer = int(code[1]) if code else None
    if is_delay(mail):
        return Judgement(EventKind.DEFERRED, answer, words[:_MOST_WORDS] or header(mail, "Subject")[:_MOST_WORDS])
    hard = bool(words) and is_hard(answer, enhanced_code(words), words, told_hard=False)
    return Judgement(EventKind.BOUNCED, answer, words[:_MOST_WORDS] or header(mail, "Subject")[:_MOST_WORDS], hard)
