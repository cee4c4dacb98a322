"""The dialogue of one message: MAIL, RCPT for each recipient, DATA, the message, the final dot.

A message is complete only with its final dot: a server accepts nothing before the dot (RFC 5321 4.1.1.4), and a lock
decides once whether it may be sent. After the dot a lost answer is in doubt (RFC 1047). An answer that was read stands,
whatever follows it: the answers about recipients are kept beside the words with which the dialogue ended.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailroom.providers.connection import Reply
from mailroom.providers.smtp.line import SmtpLine
from mailroom.providers.smtp.replies import Garbled, SmtpAnswer

DOT: Final = b".\r\n"
CLOSES: Final = 421  # the server ends the session, at any step


@dataclass(frozen=True, slots=True)
class Envelope:
    """A call, built completely: sender, recipients, and the message with CRLF line ends."""

    sender: str
    recipients: Sequence[str]
    message: bytes


class SmtpReply(Reply, frozen=True):
    """The server's last answer in `status` and `body`, and its answer about each refused recipient.

    Without a last answer `status` is 0, and `broken` gives the reason. `handed_over`: the final dot has left.
    """

    refused: Mapping[str, tuple[int, str]]
    step: str  # of the last answer, or of the missing one: rset, mail, rcpt, data, or message
    recipients: Sequence[str] = ()
    broken: str = ""
    handed_over: bool = False
    used: bool = False  # the session had carried a message before


class _GivenUp(Exception):
    """The call's time is over: the final dot must not be sent."""


class Dialogue:
    """One message over one line. `give_up` is for another thread."""

    def __init__(self, line: SmtpLine, envelope: Envelope, *, used: bool, reset_first: bool) -> None:
        self._line, self._envelope = line, envelope
        self._used, self._reset_first = used, reset_first
        self._step, self._refused = "mail", dict[str, tuple[int, str]]()
        self._deciding = threading.Lock()
        self._given_up = self._dot_sent = False
        self.in_step = False  # the line stands between two messages

    def run(self) -> SmtpReply:
        """Run the dialogue to its end. Never raises, whatever the server does."""
        try:
            return self._talk()
        except Exception as error:
            return self._broken(f"{type(error).__name__} {str(error)[:300]}")

    def give_up(self) -> SmtpReply:
        """End the call's time. If the final dot has not left yet, it never will."""
        with self._deciding:
            self._given_up = True
        return self._broken("TimeoutError the call's time is over")

    def _talk(self) -> SmtpReply:
        if self._reset_first:
            self._step = "rset"
            answer = self._line.ask("RSET")
            if not answer.taken:
                raise Garbled(f"the server answered RSET with {answer}")
        self._step = "mail"
        size = f" SIZE={len(self._envelope.message)}" if self._line.takes_size else ""
        answer = self._line.ask(f"MAIL FROM:<{self._envelope.sender}>{size}")
        if not answer.taken:
            return self._no(answer)
        if refusal := self._name_recipients():
            return refusal
        self._step = "data"
        answer = self._line.ask("DATA")
        if not answer.go_on:
            return self._no(answer)
        self._step = "message"
        return self._hand_over()

    def _name_recipients(self) -> SmtpReply | None:
        """Send RCPT for each recipient. Returns None to go on, else the reply that ends the dialogue."""
        self._step = "rcpt"
        for recipient in self._envelope.recipients:
            answer = self._line.ask(f"RCPT TO:<{recipient}>")
            if answer.taken:
                continue
            if not answer.refused:
                raise Garbled(f"the server answered RCPT with {answer}")
            self._refused[recipient] = (answer.code, answer.words)
            if answer.code == CLOSES:
                return self._broken(f"the server closes the session: {answer}"[:300])
        return self._no(answer) if len(self._refused) == len(self._envelope.recipients) else None

    def _hand_over(self) -> SmtpReply:
        try:
            self._line.send(stuffed(self._envelope.message))
            early = self._line.spoke()
        except OSError:
            if (answer := self._line.last_words()) and answer.refused:
                return self._reply(answer)  # the server took no more, and closed the connection
            raise
        if early:  # the server answered early: without the final dot nothing is accepted
            answer = self._line.read()
            if answer.refused:
                return self._reply(answer)
            raise Garbled(f"the server answered before the end of the message: {answer}")
        with self._deciding:
            if self._given_up:
                raise _GivenUp
            self._dot_sent = True
        self._line.send(DOT)
        answer = self._line.read()
        self.in_step = True
        return self._reply(answer)

    def _no(self, answer: SmtpAnswer) -> SmtpReply:
        """The reply of a dialogue that the server refused at this step. Raises Garbled unless `answer` is a refusal."""
        if not answer.refused:
            raise Garbled(f"the server answered {self._step.upper()} with {answer}")
        self.in_step = True
        return self._reply(answer)

    def _reply(self, answer: SmtpAnswer) -> SmtpReply:
        return self._ended(answer.code, answer.words, "")

    def _broken(self, why: str) -> SmtpReply:
        return self._ended(0, "", why)

    def _ended(self, status: int, words: str, broken: str) -> SmtpReply:
        return SmtpReply(
            status,
            {},
            words.encode(),
            dict(self._refused),
            self._step,
            tuple(self._envelope.recipients),
            broken,
            self._dot_sent,
            self._used,
        )


def stuffed(message: bytes) -> bytes:
    """The message with a dot added before each leading dot, and a line end at its end: RFC 5321 4.5.2."""
    whole = message if message.endswith(b"\r\n") else message + b"\r\n"
    dotted = whole.replace(b"\r\n.", b"\r\n..")
    return b"." + dotted if dotted.startswith(b".") else dotted
