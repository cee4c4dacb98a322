"""Bounces without a report that programs can read, and automatic replies, which are none.

Both come to the return path (RFC 3834 4). Only a return path of ours makes a mail one of these at all.
"""

import re
from email.message import Message
from typing import Final

from mailroom.domain.returned_mail.reading import header, text_of

_DAEMONS: Final = re.compile(r"(?i)\b(mailer-?daemon|mail-?daemon|postmaster|mdaemon|mail delivery (sub)?system)\b")
_FAILED: Final = re.compile(
    r"(?i)undeliver|not delivered|delivery (status|failure|failed|has failed)|failure notice|returned mail"
    r"|mail delivery failed|could not be delivered|unzustellbar|non remis|no se ha podido entregar|nondeliverable"
)
_DELAYED: Final = re.compile(r"(?i)\bdelay(ed)?\b|\bwarning\b|still being retried|not yet (been )?delivered")
_AWAY: Final = re.compile(
    r"(?i)out of (the )?office|auto(matic|mated)?[- ]?(reply|response|antwort)|autoreply|vacation|on holiday"
    r"|abwesenheit|absence du bureau|réponse automatique|respuesta automática|risposta automatica|away from"
)
_REPLY: Final = re.compile(r"\b[245]\d\d[ -]|\b[245]\.\d{1,3}\.\d{1,3}\b")
_MOST_LINES: Final = 400
_MOST_WORDS: Final = 1_000
_LINES_WITH_IT: Final = 3  # an answer is often broken into several lines


def is_auto_reply(mail: Message) -> bool:
    """True if a program answers in the name of the recipient, who has the mail."""
    if _is_from_a_daemon(mail):
        return False
    if header(mail, "Auto-Submitted").lower().startswith("auto-replied"):
        return True
    marks = ("X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress", "X-Vacation")
    if any(mail.get(name) for name in marks) or header(mail, "Precedence").lower() == "auto_reply":
        return True
    return bool(_AWAY.search(header(mail, "Subject")))


def is_bounce(mail: Message) -> bool:
    """True if a mail server says that it could not deliver. A person who writes to the return path says something
    else."""
    if is_auto_reply(mail):
        return False
    if _is_from_a_daemon(mail) or _FAILED.search(header(mail, "Subject")):
        return True
    return header(mail, "Return-Path") == "<>" and bool(_REPLY.search(text_of(mail)[: _MOST_WORDS * 20]))


def is_delay(mail: Message) -> bool:
    """True if a server still tries to deliver."""
    subject = header(mail, "Subject")
    return bool(_DELAYED.search(subject)) and not _FAILED.search(subject)


def answer_in(mail: Message) -> str:
    """The receiving server's answer, as the words for people repeat it: the lines with its codes, else the first
    lines after the recipient's address; '' if there are none."""
    lines = [line.strip() for line in text_of(mail).splitlines()[:_MOST_LINES]]
    for matches in (_REPLY.search, re.compile(r"^<?[^\s<>@]+@[^\s<>@]+>?:$").match):
        for number, line in enumerate(lines):
            if matches(line):
                found = [line for line in lines[number : number + _LINES_WITH_IT] if line]
                return " ".join(found)[:_MOST_WORDS]
    return ""


def _is_from_a_daemon(mail: Message) -> bool:
    return bool(mail.get("X-Failed-Recipients")) or bool(_DAEMONS.search(header(mail, "From")))
