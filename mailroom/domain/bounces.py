"""Decide whether a refusal blames the address itself. One table for every provider.

A bounce is hard, and suppresses the address, only if the refusal blames the address. A refusal for any other reason
(policy, block lists, spam, relaying, a full mailbox, the size of the mail, the sender, a rate, a temporary fault)
blames a cause that can change, and never suppresses. Codes decide before words. Blame of another cause decides before
both.

Source: RFC 3463 and the IANA registry of RFC 5248 (enhanced codes); the non-delivery codes of Microsoft 365, Gmail,
Yahoo and iCloud as their postmaster pages list them (read 2026-11). The replies of the test table are ours.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Final


class Blame(StrEnum):
    """The cause that a refusal names."""

    ADDRESS = "address"  # there is no such mailbox, or it is closed for good
    ELSE = "else"  # a cause that says nothing about the address
    SILENT = "silent"  # neither: the provider's own verdict decides


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
# Codes that do not name a cause: the words decide. All other codes blame a cause other than the address.
_OPEN: Final = {"0", "1.0", "2.0", "3.0", "4.0", "5.0"}
# This reply never blames the address, whatever its words: the mail is too large, or the mailbox is full.
_TOO_LARGE_OR_FULL: Final = 552

_CODE: Final = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?![\w]|\.\d)")
_REPLY: Final = re.compile(r"(?<![\w.])([2-5]\d\d)(?=[- ])(?![- ]\d{3}\.)")
# Addresses, URLs and hosts can hold any word; Postfix adds the command that it replied to.
_NAMES: Final = re.compile(
    r"\(in reply to [A-Za-z ]{1,40}\)|https?://\S+|www\.\S+|[^\s<>\"'(),;:]+@[^\s<>\"'(),;:]+|(?<![\w.])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}\b(?!-)"
)
_MOST_WORDS: Final = 2_000

_ELSE: Final = (
    # Block lists and reputation.
    r"block[- ]?list|black[- ]?list|deny[- ]?list|\b(dns|r|s|x)bl\b|spamhaus|spamcop|barracuda|proofpoint",
    r"cloudmark|reputation|blocked|banned|listed (in|on|at|by)|poor[- ]list|untrusted|bad ip|unblock|delist",
    # Spam, content, viruses, and the sender's identity.
    r"\bspam|\bjunk|\bbulk\b|unsolicited|\bspf\b|\bdkim\b|\bdmarc\b|\bptr\b|reverse dns|rdns|phish|virus|malware",
    r"malicious|suspicious|content (reject|filter|is not|not)|message content|attachment|filter(ed|ing|s)?\b",
    r"authenticat|unauthori[sz]ed|not authori[sz]ed|authori[sz]ation|verif(y|ied) sender",
    r"message (was |has been )?(rejected|refused|denied)",
    # Policies and relaying.
    r"polic(y|ies)\b|access denied|permission|not permitted|not allowed|prohibit|restrict|administrative",
    r"relay(ing)?[- ](access )?(is )?(denied|not|prohibited|refused)|(unable|cannot|can't|not|won't) (to )?relay",
    r"rcpthosts|open relay|\bmoderat|only accepts? (mail|messages?) from|closed (group|list)",
    # Full, large, fast, late.
    r"\bfull\b|mailboxfull|quota|over ?limit|overdrawn|over(-| )?size|too (large|big|long)|insufficient",
    r"not enough space|out of (space|disk)|disk (full|space)|storage|space left|exceed|message size|size limit",
    r"\brate\b|too (many|fast|quickly|much)|throttl|frequen|limit(s|ed)?\b|slow down|try (again )?later|deferred",
    r"gr[ea]y ?list|tempor|transient|resources|overload|\bbusy\b|timed? ?out|time-?out|expired|queue too long",
    r"delivery time|undeliverable for|retry|loop|hop count|too many hops",
    # The connection, the sender, the protocol.
    r"connect|no route|network|unreachable|\btls\b|ssl|certificate|dns (error|fail|lookup|server)|lookup fail",
    r"sender (address )?(rejected|denied|refused|blocked|is|not|unknown|verif)|(bad|invalid|unknown) sender",
    r"mail from|reverse-path|return path|envelope from|originat|\bhelo\b|\behlo\b|client host",
    r"your (ip|server|host|domain|organization)|from your|protocol|command|syntax error|out of sequence",
    r"local error|system (error|problem|not)|8bitmime|smtputf8|header",
)

_WHO: Final = r"(user|mail ?box|account|recipient|address|alias|subscriber|customer|person|name|email)"
_GONE: Final = (
    r"(unknown|invalid|not known|not found|not valid|disabled|deactivated|inactive|suspended|closed|terminated"
    r"|expunged|deleted|discontinued|decommissioned|not active|no longer|do(es)? ?(not|n[o'`]?t) exist|not exist"
    r"|could not be found|cannot be found|not recogni[sz]ed)"
)
_OF_ADDRESSES: Final = (
    r"\b(no|unknown|invalid|bad|illegal|non-?exist[ea]nt|inactive|disabled|deactivated|unrouteable|undeliverable)"
    rf" (such )?(\w+ )?{_WHO}\b",
    r"\bno such\b (\w+ )?(local|here|person|domain|host|destination|recipient)",
    # 'The email account that you tried to reach does not exist': a few words lie between.
    rf"\b{_WHO}s?\b(\W+\w+){{0,8}}?\W+{_GONE}",
    r"does(n't| not) have an? ([\w.-]+ )?(account|mailbox)",
    r"(recipient|destination|rcpt) (address )?(unknown|not found|no longer)",
    r"no (mailbox|account|user|recipient) (here )?(by|with|under|for|of|found)",
    r"no longer (accept|with|work|valid|in use|available|employ|on this server|active|exist)",
    r"not (a )?(valid|known|our|existing|local) (mailbox|user|recipient|customer|address|account)",
    r"mailbox (is )?(unavailable|not available|disabled|closed)",
    r"user(name)? (is )?(not|un)(-| )?(known|found|exist)|userunknown|usernotfound|recipientnotfound|exrecipnotfound",
    r"unknown (local[- ]part|rcpt|domain|destination|or illegal alias)|unrouteable address",
    r"(domain|host) (name )?(does not exist|not found|is not valid|no longer exists)|nxdomain|null ?mx",
    r"does not accept (any )?(e-?)?mail|bad destination|delivery error: dd|this (user|account) (is )?(no|does)",
    r"(has left|have been|has been) (the )?(disabled|deleted|closed|deactivated|terminated|removed|discontinued)",
    r"unbekannt|existiert nicht|utilisateur inconnu|n'existe pas|no existe|desconocido|inesistente",
)
_ELSE_WORDS: Final = re.compile("|".join(_ELSE), re.IGNORECASE)
_ADDRESS_WORDS: Final = re.compile("|".join(_OF_ADDRESSES), re.IGNORECASE)


def blame(code: int | None, enhanced: str, words: str) -> Blame:
    """The cause that a refusal names. `code`, `enhanced`: the reply's number and enhanced code, if the provider gives
    them as separate fields. `words`: the text of the reply, which may contain both as well."""
    words = " ".join(words[:_MOST_WORDS].split())
    replies = [code] if code else [int(reply) for reply in _REPLY.findall(words)][:1]
    if any(reply < 500 or reply >= 600 or reply == _TOO_LARGE_OR_FULL for reply in replies):
        return Blame.ELSE
    codes = set(_codes(enhanced[:_MOST_WORDS])) | set(_codes(words))
    if any(class_ != "5" for class_, _ in codes):
        return Blame.ELSE
    causes = {_meaning(detail) for _, detail in codes}
    plain = _NAMES.sub(" ", words)
    if Blame.ELSE in causes:
        return Blame.ELSE
    if _ELSE_WORDS.search(_ADDRESS_WORDS.sub(" ", plain)):
        return Blame.ELSE
    if Blame.ADDRESS in causes or _ADDRESS_WORDS.search(plain):
        return Blame.ADDRESS
    return Blame.SILENT


def is_hard(code: int | None, enhanced: str, words: str, *, told_hard: bool) -> bool:
    """Whether a bounce suppresses its address. The provider's own verdict (`told_hard`) counts only if the bounce has
    neither codes nor words."""
    verdict = blame(code, enhanced, words)
    return verdict is Blame.ADDRESS or (verdict is Blame.SILENT and told_hard and not (code or enhanced or words))


def without_names(words: str) -> str:
    """The words without addresses, URLs and hosts. These may contain any word and would mislead the rules."""
    return _NAMES.sub(" ", words[:_MOST_WORDS])


def enhanced_code(words: str) -> str:
    """The first enhanced code in these words; '' if there is none."""
    return next((f"{class_}.{detail}" for class_, detail in _codes(words)), "")


def _codes(text: str) -> Iterator[tuple[str, str]]:
    for class_, subject, detail in _CODE.findall(text):
        yield class_, f"{int(subject)}.{int(detail)}"


def _meaning(detail: str) -> Blame:
    if detail in _OF_THE_ADDRESS:
        return Blame.ADDRESS
    subject = detail.partition(".")[0]
    return Blame.SILENT if detail in _OPEN or subject in _OPEN else Blame.ELSE
