"""Recognise answers that complain only about the pace of mail, by one table for all providers.

Sources: RFC 3463 (X.3.2, the host takes nothing now; X.7.28 by RFC 7372's registry and Gmail's pages, an unusual rate),
Amazon SES "Errors related to the sending quotas", Microsoft's and Yahoo's pages of SMTP errors (read 2026-11).
"""

import re
from datetime import timedelta
from typing import Final

from mailroom.domain.bounces import without_names

SOON: Final = timedelta(seconds=1)
# A limit by the day or the month: a longer pause.
LATER: Final = timedelta(minutes=10)

_CODES: Final = re.compile(r"(?<![\d.])[45]\.(7\.28|3\.2)(?![\d.])")
# Codes about the address or its mailbox: they concern one recipient, whatever the words.
_OF_A_RECIPIENT: Final = re.compile(r"(?<![\d.])[45]\.[12]\.\d")
_TOO_MANY: Final = (
    # Too many of something within one mail is no matter of pace.
    r"too many (?!(invalid|bad|unknown|wrong|different )?\s*"
    r"(recipients?|rcpts?|addresses|hops|received|headers?|parts|attachments?|links|urls|lookups|lines)\b)"
)
_WORDS: Final = re.compile(
    rf"\brates?\b|\brate[-_ ]?limit|{_TOO_MANY}|throttl|slow(ing)? down|too (fast|quickly|frequent)|ratelimit", re.I
)
_OF_A_DAY: Final = re.compile(r"\b(daily|day|24[- ]?h(ours?)?|month(ly)?)\b", re.I)
_OF_A_SESSION: Final = re.compile(r"\b(this|per|one|a|each|same|single) (smtp )?(session|connection)\b", re.I)


def says_too_fast(words: str) -> bool:
    """True if a provider's words, with its enhanced code, are about our pace."""
    if _CODES.search(words):
        return True
    return bool(_WORDS.search(without_names(words))) and not _OF_A_RECIPIENT.search(words)


def pause_for(words: str) -> timedelta:
    """How long to send nothing if the provider names no time."""
    return LATER if _OF_A_DAY.search(without_names(words)) else SOON


def is_about_the_session(words: str) -> bool:
    """True if the words limit the refusal to this session: another session may succeed."""
    return bool(_OF_A_SESSION.search(words))
