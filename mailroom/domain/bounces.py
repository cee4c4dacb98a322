"""Does a refusal say of the address itself that it takes no mail? One table for every provider.

Only then is a bounce hard: the address gets nothing more. A refusal for anything else (policy, block lists, spam,
relaying, a full mailbox, the size of the mail, the sender, a rate, a temporary fault) blames something that changes, and
never suppresses. Codes decide before words; whatever blames something else decides before both.

Source: RFC 3463 and the IANA registry of RFC 5248 (enhanced codes); the non-delivery codes of Microsoft 365, Gmail,
Yahoo and iCloud as their postmaster pages list them (read 2026-11). The replies of the test table are ours.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final


class Blame(StrEnum):
    """What a refusal blames."""

    ADDRESS = "address"  # there is no such mailbox, or it is closed for good
    ELSE = "else"  # something that says nothing about the address
    SILENT = "silent"  # neither: what the provider makes of it decides


# "class.subject.detail" of class 5 without its class.
_OF_THE_ADDRESS: Final = {
    "1.1",  # bad destination mailbox
    "1.2",  # bad destination system: no such domain
    "1.3",  # bad syntax of the address
    "1.6",  # the mailbox has moved, and left no address
    "1.10",  # the domain takes no mail (null MX, RFC 7505); Microsoft: recipient not found
    "1.351",  # Microsoft: the next server does not know the recipient
    "2.1",  # the mailbox is disabled
    "4.310",  # Microsoft: the domain does not exist
    "7.13",  # the user's account is disabled
}
# Codes that leave open what is meant: the words decide. All others blame something else than the address.
_OPEN: Final = {"0", "1.0", "2.0", "3.0", "4.0", "5.0"}
# Refused whatever the words: it is too large, or the mailbox is full.
_TOO_LARGE_OR_FULL: Final = 552

_CODE: Final = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?![\w]|\.\d)")
_REPLY: Final = re.compile(r"(?<![\w.])([2-5]\d\d)(?=[- ])(?![- ]\d{3}\.)")
# Addresses, URLs and hosts can hold any word; Postfix names the command that was answered.
_NAMES: Final = re.compile(
    r"\(in reply to [A-Za-z ]{1,40}\)|https?://\S+|www\.\S+|[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+|(?<![\w.])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}\b(?!-)"
)
_MOST_WORDS: Final = 2_000

_ELSE_WORDS: Final = re.compile(
    "|".join(
        (
            # Block lists and reputation.
            r"block[- ]?list|black[- ]?list|deny[- ]?list|\b(dns|r|s|x)bl\b|spamhaus|spamcop|barracuda|proofpoint|cloudmark",
            r"reputation|blocked|banned|listed (in|on|at|by)|poor[- ]list|untrusted|bad ip|unblock|delist",
            # Spam, content, viruses.
            r"\bspam|\bjunk|\bbulk\b|unsolicited|\bspf\b|\bdkim\b|\bdmarc\b|\barc\b failed|\bptr\b|reverse dns|rdns",
            r"phish|virus|malware|malicious|suspicious|content (reject|filter|is not|not)|message content|attachment",
            r"unauthenticated|authenticat|unauthori[sz]ed|not authori[sz]ed|authori[sz]ation|verif(y|ied) sender",
            r"message (was |has been )?(rejected|refused|filtered|denied|blocked)|filter(ed|ing|s)?\b",
            # Policies and relaying.
            r"polic(y|ies)\b|access denied|permission|not permitted|not allowed|prohibited|restricted|administrative",
            r"relay(ing)?[- ](access )?(is )?(denied|not|prohibited|refused)|(unable|cannot|can't|not|won't) (to )?relay",
            r"relay not|rcpthosts|not local\b|open relay|\bmoderat|only accepts? (mail|messages?) from|closed (group|list)",
            # Full, large, fast, late.
            r"mailbox( is|'s)?( \w+)? full|(mail)?box[- ]?full|\bfull\b|quota|over ?limit|overdrawn|over(-| )?size|too (large|big|long)",
            r"insufficient|not enough (space|storage)|out of (space|storage|disk)|disk (full|space)|storage|space left",
            r"size (limit|exceed)|exceed|maximum (message|allowed)|message size",
            r"\brate\b|too (many|fast|quickly|much)|throttl|frequen|limit(s|ed)?\b|slow down|try (again )?later|deferred",
            r"grey ?list|gray ?list|tempor|transient|resources|overload|too busy|\bbusy\b|timed? ?out|time-?out|expired",
            r"in (the )?queue too long|too long in|delivery time|undeliverable for|retry|loop|hop count|too many hops",
            # The connection, the sender.
            r"connect|no route|network|unreachable|\btls\b|ssl|certificate|dns (error|fail|lookup|server)|lookup fail",
            r"sender (address )?(rejected|denied|refused|blocked|is|not|unknown|verif)|(bad|invalid|unknown) sender|mail from|reverse-path|return path|envelope from",
            r"originat|\bhelo\b|\behlo\b|client host|your (ip|server|host|domain|organization|network)|from your",
            r"protocol|command|syntax error|bad sequence|out of sequence|local error|system (error|problem|not)",
            r"8bitmime|smtputf8|line (too|length)|header",
        )
    ),
    re.IGNORECASE,
)

_WHO: Final = r"(user|mail ?box|account|recipient|address|alias|subscriber|customer|person|name|mail ?user|mailaddress|email)"
_ADDRESS_WORDS: Final = re.compile(
    "|".join(
        (
            rf"\b(no|unknown|invalid|bad|illegal|nonexist[ea]nt|non-exist[ea]nt|inactive|disabled|deactivated|unrouteable|undeliverable) (such )?(\w+ )?{_WHO}\b",
            r"\bno such\b (\w+ )?(local|here|person|domain|host|destination|recipient)",
            rf"\b{_WHO}s?\b(\W+\w+){{0,8}}?\W+(unknown|invalid|not known|not found|not valid|disabled|deactivated|inactive|suspended|closed|terminated|expunged|deleted|discontinued|decommissioned|not active|no longer|does ?n[o']t exist|does not exist|do not exist|not exist|doesn't have|does not have|could not be found|cannot be found|not recogni[sz]ed|not listed in)",
            r"does(n't| not) have an? ([\w.-]+ )?(account|mailbox)",
            r"(recipient|destination|rcpt) (address )?(unknown|not found|does not exist|no longer)",
            r"no (mailbox|account|user|recipient) (here )?(by|with|under|for|of|found)",
            r"no longer (accept|with|work|valid|in use|available|employ|on this server|active|a valid|exist)",
            r"(not|n't) (a )?(valid|known|our|existing) (mailbox|user|recipient|customer|address|account)",
            r"mailbox (is )?(unavailable|not available|not found|disabled|closed|inactive)",
            r"requested action not taken: mailbox unavailable",
            r"(user|recipient|account|mailbox|address|domain|member|host)s? (you (are|were) trying to \w+ )?(\w+ ){0,5}(does ?n.t|does not|do not|doesn.t|cannot|not) (exist|be found)",
            r"user(name)? (is )?(not|un)(-| )?(known|found|exist)|userunknown|usernotfound|recipientnotfound|exrecipnotfound",
            r"unknown (local[- ]part|local part|user|recipient|mailbox|address|destination|rcpt|domain|or illegal alias)|unrouteable address",
            r"not (a )?(local|valid|known) (user|recipient|mailbox)|not our customer|invalid (recipient|mailbox|user|address)",
            r"(domain|host) (name )?(does not exist|not found|is not valid|no longer exists)|nxdomain|null ?mx|does not accept (any )?(e-?)?mail",
            r"account (has been |is |was )?(disabled|closed|deactivated|suspended|terminated|deleted|inactive)",
            r"bad destination (mailbox|email|system) ?(address)?|delivery error: dd|this (user|address|account|mailbox) (is )?(no|does)",
            r"(has|have) (left|been (disabled|deleted|closed|deactivated|terminated|removed|discontinued))",
            r"address (has )?(expired|changed|moved) and|unbekannt|existiert nicht|utilisateur inconnu|n'existe pas|no existe|desconocido|non esiste|inesistente",
        )
    ),
    re.IGNORECASE,
)


def blame(code: int | None, enhanced: str, words: str) -> Blame:
    """What a refusal blames. `code`: the reply's number where it came as a field; `enhanced`: the enhanced code where
    it did; `words`: the reply as it was written, where both may stand too."""
    words = words[:_MOST_WORDS]
    replies = [code] if code else [int(found) for found in _REPLY.findall(words)][:1]
    if any(reply < 500 or reply >= 600 or reply == _TOO_LARGE_OR_FULL for reply in replies):
        return Blame.ELSE
    told = set(_codes(enhanced[:_MOST_WORDS])) | set(_codes(words))
    if any(class_ != "5" for class_, _ in told):
        return Blame.ELSE
    meant = {_meaning(detail) for _, detail in told}
    plain = _NAMES.sub(" ", words)
    if Blame.ELSE in meant:
        return Blame.ELSE
    if _ELSE_WORDS.search(_ADDRESS_WORDS.sub(" ", plain)):
        return Blame.ELSE
    if Blame.ADDRESS in meant or _ADDRESS_WORDS.search(plain):
        return Blame.ADDRESS
    return Blame.SILENT


def enhanced_code(words: str) -> str:
    """The first enhanced code that stands in these words; '' where there is none."""
    return next((f"{class_}.{detail}" for class_, detail in _codes(words)), "")


def _codes(text: str) -> Iterator[tuple[str, str]]:
    for class_, subject, detail in _CODE.findall(text):
        yield class_, f"{int(subject)}.{int(detail)}"


def _meaning(detail: str) -> Blame:
    if detail in _OF_THE_ADDRESS:
        return Blame.ADDRESS
    subject = detail.partition(".")[0]
    return Blame.SILENT if detail in _OPEN or subject in _OPEN else Blame.ELSE
