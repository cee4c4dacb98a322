"""What an SMTP dialogue means. Source: RFC 5321 sections 4.2 and 4.3.2, RFC 3463 (read 2026-11).

A recipient that got an answer of its own keeps it, whatever followed. For all other recipients the end of the dialogue
decides: the message was accepted, refused, surely not handed over, or in doubt.
"""

from dataclasses import replace
from typing import Final

from mailroom.domain.bounces import Blame, blame
from mailroom.domain.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.providers.connection import Reply
from mailroom.providers.pace import is_about_the_session, pause_for, says_too_fast
from mailroom.providers.smtp.dialogue import CLOSES, SmtpReply

# Sign-in or TLS wanted or failed, the host takes no mail: nothing that this mail is to blame for.
_ACCOUNT: Final = {454, 521, 530, 534, 535, 538}
# Said of a recipient, it is about that one, for now: it holds up nobody else.
_OF_A_RECIPIENT: Final = 454
# Said of a recipient, it means too many of them: as 452.
_TOO_MANY_RECIPIENTS: Final = 552
# Commands out of order: of a session that has carried mail, its own confusion.
_CONFUSED: Final = {500, 501, 502, 503}
_MOST_WORDS: Final = 500


def read_reply(reply: Reply) -> Outcome:
    """What a whole dialogue means."""
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
        # Of several nobody can tell whom the answer to the message blames.
        return _each(each | dict.fromkeys(others, replace(ended, hard=ended.hard and len(others) == 1)))
    if isinstance(ended, Accepted):
        return InPart(ended.provider_id, each)
    return ended


def _each(refused: dict[str, Refused]) -> Outcome:
    """Each goes on, or ends, by itself."""
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
        return Accepted(words)
    # After the final dot an unreadable answer does not change that the message was handed over.
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
    # Some servers look a recipient up only once they have the message.
    hard = step in ("rcpt", "message") and blame(code, "", words) is Blame.ADDRESS
    return Refused(Refusal.PERMANENT, said, code, hard=hard)


def _refused_for_now(code: int, words: str, said: str, step: str, *, used: bool) -> Refused:
    if used and is_about_the_session(words):
        return Refused(Refusal.TEMPORARY, said, code, spent=True)
    if says_too_fast(words):
        return Refused(Refusal.ACCOUNT, said, code, pause_for(words), too_fast=True)
    if used:
        return Refused(Refusal.TEMPORARY, said, code, spent=True)
    if code == CLOSES and step != "rcpt":
        # Nothing is said of the mail: the server takes none at the moment.
        return Refused(Refusal.ACCOUNT, said, code, pause_for(words), too_fast=True)
    if code in _ACCOUNT and not (step == "rcpt" and code == _OF_A_RECIPIENT):
        return Refused(Refusal.ACCOUNT, said, code)
    return Refused(Refusal.TEMPORARY, said, code)
