"""What an SMTP server's replies mean. Source: RFC 5321 section 4.2, RFC 3463 (read 2026-11)."""

from typing import Final

from mailroom.domain.bounces import Blame, blame
from mailroom.domain.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.providers.connection import Reply
from mailroom.providers.smtp.connection import SmtpReply

# Sign-in or TLS wanted or failed, the host takes no mail: nothing that this mail is to blame for.
_ACCOUNT: Final = {421, 454, 521, 530, 534, 535, 538}
# Said of a recipient, they are about that one, for now: they hold up nobody else.
_OF_A_RECIPIENT: Final = {421, 454}
# Said of a recipient, it means too many of them: as 452.
_TOO_MANY_RECIPIENTS: Final = 552
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
    # Some servers look a recipient up only once they have the message.
    hard = step in ("rcpt", "message") and blame(code, "", words) is Blame.ADDRESS
    return Refused(Refusal.PERMANENT, said, code, hard=hard)
