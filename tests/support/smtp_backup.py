"""The scripted SMTP server with the face that `make chaos` wants of its second provider: what it took, by dispatch, and
faults of any step."""

import random
import re
from collections.abc import Sequence
from email import message_from_bytes
from types import SimpleNamespace
from typing import Any, Final

from tests.support.scripted_smtp import SILENCE, Said, ScriptedSmtp, Taken
from tests.support.vendor import Kept

STEPS: Final = ("connect", "ehlo", "mail", "rcpt", "data", "dot", "rset")
# All but what refuses a mail for good: chaos would count that as lost.
ANSWERS: Final = (
    *("250 ok", "252 will try", "254 taken", "299 odd", "354 go on", "250-a\n250 b", "250 ok\n250 ok", "250-a\n550 b"),
    *("421 4.7.0 closing", "450 4.7.0 later", "451 4.3.0 local", "452 4.4.5 full", "454 4.7.0 Throttling failure"),
    *("hello", "25", "100 wait", "600 no"),
)
_MESSAGE_ID: Final = re.compile(r"<(.+)\.mailroom@")


class SmtpBackup:
    """`kept`, `misbehave`, `heal`, `tell_of` as SendGrid's stub has them. It cannot be asked, and tells nothing."""

    name = "smtp"

    def __init__(self, *, latency_s: float = 0.0) -> None:
        self.server = ScriptedSmtp(latency_s=latency_s).start()
        self.settings = {
            "SMTP_URL": self.server.url(query="?tls=none&messages=7&connections=6"),
            # First in order: it carries most, and its faults meet most of the mails.
            "MAILROOM_PROVIDERS": "smtp,mailgun",
        }
        self._read: list[Kept] = []

    @property
    def refused_addresses(self) -> set[str]:
        return self.server.refused_addresses

    @refused_addresses.setter
    def refused_addresses(self, addresses: set[str]) -> None:
        self.server.refused_addresses = addresses

    @property
    def latency_s(self) -> float:
        return self.server.latency_s

    @latency_s.setter
    def latency_s(self, latency_s: float) -> None:
        self.server.latency_s = latency_s

    @property
    def kept(self) -> list[Kept]:
        for taken in self.server.taken[len(self._read) :]:
            self._read.append(_kept(taken))
        return self._read

    def misbehave(self, rng: random.Random) -> int:
        """Some of the next answers, at some steps, are odd ones, and some lines drop. Returns how many at most."""
        count = rng.randint(1, 4)
        self.server.script(*[self._one(rng) for _ in range(count)])
        return count

    @staticmethod
    def _one(rng: random.Random) -> Said:
        step, drops = rng.choice(STEPS), rng.random() < 0.6
        answer = rng.choice((*ANSWERS, SILENCE) if step == "dot" else ANSWERS)
        keeps = answer[0] not in "45" and rng.random() < 0.5
        return Said(step, answer, drops, keeps=keeps, skip=rng.randint(0, 2))

    def heal(self) -> None:
        self.server.script()
        self.server.latency_s = 0.0

    @staticmethod
    def run_of(taken: Taken) -> str:
        """The run that a message is of; '' for a single mail."""
        return _dispatch_of(taken.raw).partition(".")[0].rpartition("-d")[0]

    def tell_of(self, _mails: Sequence[Kept], _target: str, *_kinds: str) -> Any:
        return SimpleNamespace(ok=True)

    def close(self) -> None:
        self.server.stop()


def _kept(taken: Taken) -> Kept:
    subject = message_from_bytes(taken.raw)["Subject"]
    ids = {"mailroom_dispatch": _dispatch_of(taken.raw), "mailroom_run": SmtpBackup.run_of(taken)}
    return Kept(list(taken.recipients), subject, "", ids, "", at=taken.at)


def _dispatch_of(raw: bytes) -> str:
    written = message_from_bytes(raw)["Message-ID"]
    found = _MESSAGE_ID.search(written)
    assert found, written
    return found[1]
