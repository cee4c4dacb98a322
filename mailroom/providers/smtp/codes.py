"""What an SMTP server's replies mean. Source: RFC 5321 section 4.2, RFC 3463 (read 2026-11)."""

import re
from typing import Final

from mailroom.domain.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.providers.connection import Reply
from mailroom.providers.smtp.connection import SmtpReply

# Sign-in or TLS wanted or failed, the host takes no mail: nothing that this mail is to blame for.
_ACCOUNT: Final = {421, 454, 521, 530, 534, 535, 538}
# Said of a recipient, they are about that one, for now: they hold up nobody else.
_OF_A_RECIPIENT: Final = {421, 454}
# Said of a recipient, it means too many of them: as 452.
_TOO_MANY_RECIPIENTS: Final = 552
_ENHANCED: Final = re.compile(r"^([245])\.(\d{1,3})\.(\d{1,3})\b")
_MOST_WORDS: Final = 500


def read_reply(reply: Reply) -> Outcome:
    """What a whole dialogue means."""
    if not isinstance(reply, SmtpReply):
        return InDoubt("this is no answer of an SMTP server")
    words = reply.body.decode("utf-8", "replace")[:_MOST_WORDS]
    if reply.step == "rcpt":
        return _all_refused(reply)
    if reply.step == "message" and 200 <= reply.status < 300:
        if reply.refused:
            return InPart(words, {to: _refused(code, text, "rcpt") for to, (code, text) in reply.refused.items()})
        return Accepted(words)
    if not 400 <= reply.status < 600:
        # A reply that is none, after the final dot: whatever it was, the message was handed over.
        return InDoubt(f"the server answered {reply.status} {words}", reply.status)
    return _refused(reply.status, words, reply.step)


def _all_refused(reply: SmtpReply) -> Outcome:
    """Every recipient was refused, each in its own words: where one may be tried again, each goes on by itself."""
    each = {to: _refused(code, text, "rcpt") for to, (code, text) in reply.refused.items()}
    if len(each) == 1:
        return next(iter(each.values()))
    return InPart("", each)


def _refused(code: int, words: str, step: str) -> Refused:
    said = f"the server answered {code} {words[:_MOST_WORDS]}"
    if code in _ACCOUNT and not (step == "rcpt" and code in _OF_A_RECIPIENT):
        return Refused(Refusal.ACCOUNT, said, code)
    if code < 500 or (step == "rcpt" and code == _TOO_MANY_RECIPIENTS):
        return Refused(Refusal.TEMPORARY, said, code)
    return Refused(Refusal.PERMANENT, said, code, hard=step == "rcpt" and blames_the_address(words))


def blames_the_address(words: str) -> bool:
    """True if a refusal says of the address itself that it takes no mail: a hard bounce (RFC 3463 X.1.1, X.1.2...)."""
    found = _ENHANCED.match(words)
    return bool(found and found[1] == "5" and (found[2], found[3]) in _HARD)


_HARD: Final = {("1", "1"), ("1", "2"), ("1", "3"), ("1", "6"), ("1", "10"), ("2", "1")}
