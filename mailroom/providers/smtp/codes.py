"""Outcomes of SMTP dialogues. Source: RFC 5321 sections 4.2 and 4.3.2, RFC 3463 (read 2026-11).

A recipient that got an answer of its own keeps it, whatever followed. For all other recipients the end of the dialogue
decides: the message was accepted, refused, surely not handed over, or in doubt.
"""

from typing import Final

from msgspec.structs import replace

from mailroom.domain.bounces import Blame, blame
from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.providers.connection import Reply
from mailroom.providers.pace import is_about_the_session, pause_for, says_too_fast
from mailroom.providers.smtp.dialogue import CLOSES, SmtpReply

# Sign-in or TLS required or failed, or the host takes no mail: no fault of this mail.
_ACCOUNT: Final = {454, 521, 530, 534, 535, 538}
# To RCPT: about this recipient, temporarily; no other recipient waits.
_OF_A_RECIPIENT: Final = 454
# To RCPT: too many recipients, like 452.
_TOO_MANY_RECIPIENTS: Final = 552
# Commands out of order: in a session that has carried mail, a fault of the session.
_CONFUSED: Final = {500, 501, 502, 503}
_MOST_WORDS: Final = 500


def read_reply(reply: Reply) -> Outcome:
    """The outcome of a whole dialogue."""
    if not isinstance(reply, SmtpReply):
        return InDoubt("this is no answer of an SMTP server")
    each = {to: _refused(code, words, "rcpt", used=reply.used) for to, (code, words) in reply.refused.items()}
    others = [to for to in reply.recipients if to not in each]
    if each and not others and reply.step == "rcpt":
        return _each(each)
    ended = _ended(reply)
    if not each:
        return ended
    if isinstance(ended, Refused):
        # The answer to the message of several recipients does not say which of them it blames.
        return _each(each | dict.fromkeys(others, replace(ended, hard=ended.hard and len(others) == 1)))
    if isinstance(ended, Accepted):
        return InPart(ended.provider_id, each, ended.code, ended.reason)
    return ended


def _each(refused: dict[str, Refused]) -> Outcome:
    """Outcomes by recipient: each recipient goes on, or ends, by itself."""
    return next(iter(refused.values())) if len(refused) == 1 else InPart("", refused)


def _ended(reply: SmtpReply) -> Accepted | Refused | InDoubt:
    """The outcome of the end of the dialogue, for all recipients without an answer of their own."""
    words = reply.body.decode("utf-8", "replace")[:_MOST_WORDS]
    if reply.status == 0:
        if reply.handed_over:
            return InDoubt(f"no answer to the message: {reply.broken}")
        why = f"the message was not handed over, the dialogue broke at {reply.step}: {reply.broken}"
        return Refused(Refusal.NOT_CALLED, why, broke=not reply.used)
    if 400 <= reply.status < 600:
        return _refused(reply.status, words, reply.step, used=reply.used)
    if reply.step == "message" and 200 <= reply.status < 300:
        return Accepted(words, code=reply.status, reason=words)
    # An unreadable answer after the final dot: the message was handed over all the same.
    return InDoubt(f"the server answered {reply.status} {words}", reply.status)


def _refused(code: int, words: str, step: str, *, used: bool) -> Refused:
    said = f"the server answered {code} {words[:_MOST_WORDS]}"
    if code < 500:
        return _refused_for_now(code, words, said, step, used=used)
    if code in _ACCOUNT:
        return Refused(Refusal.ACCOUNT, said, code)
    if (step == "rcpt" and code == _TOO_MANY_RECIPIENTS) or says_too_fast(words):
        return Refused(Refusal.TEMPORARY, said, code)
    if used and step != "rcpt" and code in _CONFUSED:
        return Refused(Refusal.TEMPORARY, said, code, spent=True)
    # Some servers look a recipient up only after they have the message.
    hard = step in ("rcpt", "message") and blame(code, "", words) is Blame.ADDRESS
    return Refused(Refusal.PERMANENT, said, code, hard=hard)


def _refused_for_now(code: int, words: str, reason: str, step: str, *, used: bool) -> Refused:
    if used and is_about_the_session(words):
        return Refused(Refusal.TEMPORARY, reason, code, spent=True)
    if says_too_fast(words):
        return Refused(Refusal.ACCOUNT, reason, code, pause_for(words), too_fast=True)
    if used:
        return Refused(Refusal.TEMPORARY, reason, code, spent=True)
    if code == CLOSES and step != "rcpt":
        # Not about the mail: the server takes no mail at the moment.
        return Refused(Refusal.ACCOUNT, reason, code, pause_for(words), too_fast=True)
    if code in _ACCOUNT and not (step == "rcpt" and code == _OF_A_RECIPIENT):
        return Refused(Refusal.ACCOUNT, reason, code)
    return Refused(Refusal.TEMPORARY, reason, code)
