"""The table of SMTP: step x answer x 'and then the line drops', each row judged by the server's own record beside what
Mailroom told. `python -m tests.integration.providers.smtp_rows` prints it.
"""

import select
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from mailroom.domain.dispatches.outcomes import Accepted, InDoubt, InPart, Outcome, Refusal, Refused
from mailroom.domain.emails.checking import EmailDraft, check_email
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.base import Letter, advance, begin
from mailroom.providers.connection import NotWritten
from mailroom.providers.smtp.connection import SmtpConnection
from mailroom.providers.smtp.sending import SmtpAdapter
from tests.support.scripted_smtp import SILENCE, STEPS, Said, ScriptedSmtp

NOW: Final = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ANSWERS: Final = (
    *("250 ok", "251 will forward", "252 will try", "254 taken", "299 odd", "250-many\n250-lines\n250 ok"),
    *("334 go on", "354 go on", "399 odd"),
    *(
        "421 4.7.0 closing",
        "450 4.7.0 later",
        "450 4.2.1 busy",
        "451 4.3.0 local",
        "452 4.4.5 full",
        "455 no",
        "499 odd",
    ),
    *("454 4.7.0 Throttling failure: rate exceeded", "421 4.7.28 unusual rate", "450-4.2.0 a\n450 4.2.0 b"),
    *("500 what", "502 no", "503 order", "521 none", "530 5.7.0 sign in", "535 5.7.8 wrong", "599 odd"),
    *(
        "550 5.1.1 nobody",
        "550 5.7.1 policy",
        "552 too many recipients",
        "553 name",
        "554 5.6.0 no",
        "550-a\n550 5.1.1 b",
    ),
    *("hello", "25", "2500 no", "100 wait", "600 no", "250-a\n550 b", "250 ok\n250 ok", "250 ok\n550 no", SILENCE),
)
# Of these nobody can tell whether the server took the message.
UNREADABLE: Final = {answer for answer in ANSWERS if answer[0] in "361h("} | {"25", "2500 no", "250-a\n550 b"}
PEOPLE: Final = ("a@example.org", "b@example.org", "c@example.org")
_TIMEOUT_S: Final = 0.5
_TRIES: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    said: Said
    people: Sequence[str]
    used: bool  # the session has carried a message before

    def __str__(self) -> str:
        where = (
            f" {PEOPLE.index(self.said.who) + 1} of {len(self.people)}" if self.said.who else f" of {len(self.people)}"
        )
        answer = self.said.answer.replace("\n", " / ")
        kept = ", kept" if self.said.keeps else ""
        return f"{self.said.step}{where}{', used' * self.used} | {answer}{kept} | {'drops' if self.said.drops else ''}"


@dataclass(slots=True)
class Verdict:
    """What Mailroom told of each recipient in the end, and how often the server has it."""

    first: Outcome | None
    told: dict[str, str]
    copies: dict[str, int]

    @property
    def doubled(self) -> int:
        return sum(count > 1 for count in self.copies.values())

    @property
    def lost(self) -> int:
        """Told as sent and not there, or told as not sent and there."""
        return sum(
            (what == "sent" and not self.copies.get(to)) or (what == "failed" and bool(self.copies.get(to)))
            for to, what in self.told.items()
        )

    @property
    def stranded(self) -> int:
        return sum(what == "queued" for what in self.told.values())


def rows(step: str) -> Iterator[Row]:
    """Each answer that is not the usual one, with and without the line dropping after it."""
    for answer in ANSWERS:
        for drops in (False, True):
            if answer == SILENCE and step == "quit":
                continue
            if step == "rcpt":
                for people, who in ((PEOPLE[:1], PEOPLE[0]), (PEOPLE, PEOPLE[0]), (PEOPLE, PEOPLE[2])):
                    yield Row(Said(step, answer, drops, who), people, used=drops)
            elif step == "dot":
                for keeps in (False, True) if answer in UNREADABLE else (False,):
                    yield Row(Said(step, answer, drops, keeps=keeps), PEOPLE[:2], used=not drops)
            elif step in ("mail", "data"):
                for used in (False, True):
                    yield Row(Said(step, answer, drops), PEOPLE[:2], used)
            elif step == "rset":
                yield Row(Said(step, answer, drops), PEOPLE[:1], used=True)
            else:
                yield Row(Said(step, answer, drops), PEOPLE[:1], used=False)


def a_letter(people: Sequence[str]) -> Letter:
    fields: dict[str, Any] = {
        "sender": "Shop <shop@mg.example.com>",
        "to": list(people),
        "subject": "Hi",
        "text": "Hello",
    }
    email = check_email(EmailDraft(**fields), now=NOW)
    return Letter(DispatchId("em_1-d00000"), 1, RunId("em_1"), email, list(people), NOW)


def call(adapter: SmtpAdapter, connection: SmtpConnection, letter: Letter) -> Outcome:
    """A whole call, as the callers' thread drives it."""
    if refused := begin(connection, adapter.build_letter(letter)):
        return refused
    while (outcome := advance(adapter, connection)) is None:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        waiting.poll(max(0.0, connection.deadline - time.monotonic()) * 1000)
    return outcome


class Sender:
    """A sender in small: a session that is kept, and what was refused for now goes again."""

    def __init__(self, server: ScriptedSmtp, *, credentials: str = "", query: str = "?tls=none") -> None:
        url = server.url(credentials, query)
        self.adapter = SmtpAdapter(url=url, call_timeout_s=_TIMEOUT_S, idle_limit_s=600)
        self._connection: SmtpConnection | None = None

    def send(self, people: Sequence[str]) -> Outcome:
        connection = self._open()
        if connection is None:
            return Refused(Refusal.NOT_CALLED, "no session")
        return call(self.adapter, connection, a_letter(people))

    def deliver(self, people: Sequence[str]) -> Verdict:
        """Send until nobody is left to be sent to."""
        told, first = dict.fromkeys(people, "queued"), None
        for _ in range(_TRIES):
            waiting = [to for to, what in told.items() if what == "queued"]
            if not waiting:
                break
            outcome = self.send(waiting)
            first = first or outcome
            told |= {to: _told(outcome, to) for to in waiting}
        return Verdict(first, told, {})

    def close(self) -> None:
        if self._connection:
            self._connection.close()

    def _open(self) -> SmtpConnection | None:
        if self._connection and self._connection.usable():
            return self._connection
        self.close()
        self._connection = self.adapter.connection()
        try:
            self._connection.open()
        except NotWritten:
            return None
        return self._connection


def _told(outcome: Outcome, to: str) -> str:
    if isinstance(outcome, InPart):
        why = outcome.refused.get(to)
        return _told(why, to) if why else "sent"
    if isinstance(outcome, Accepted):
        return "sent"
    if isinstance(outcome, InDoubt):
        return "in doubt"
    return "failed" if outcome.kind is Refusal.PERMANENT else "queued"


def play(row: Row, tls: ssl.SSLContext | None = None) -> Verdict:
    """One row: a server with that answer once, and a sender that goes on until all is said."""
    secure, signs_in = row.said.step == "starttls", row.said.step == "auth"
    server = ScriptedSmtp(tls=tls if secure else None, password="p" if signs_in else "").start()
    sender = Sender(server, credentials="ann:p@" if signs_in else "", query="" if secure else "?tls=none")
    try:
        if row.used:
            _use(sender, server, row)
        server.script(row.said)
        if row.said.step == "quit":
            sender.send(["z@example.org"])
            sender.close()
        verdict = sender.deliver(row.people)
        verdict.copies = {to: count for to, count in server.copies().items() if to in PEOPLE}
        return verdict
    finally:
        sender.close()
        server.stop()


def _use(sender: Sender, server: ScriptedSmtp, row: Row) -> None:
    """Let the session carry a message; for RSET one that is refused, so that the next one begins with it."""
    if row.said.step == "rset":
        server.script(Said("rcpt", "550 5.1.1 nobody"))
    sender.send(["z@example.org"])


def table(step: str, tls: ssl.SSLContext | None = None) -> list[tuple[Row, Verdict]]:
    """All rows of a step, several at a time: most of it is waiting."""
    made = list(rows(step))
    with ThreadPoolExecutor(8) as threads:
        return list(zip(made, threads.map(lambda row: play(row, tls), made), strict=True))


def main() -> None:
    count = wrong = 0
    for step in STEPS:
        for row, verdict in table(step) if step != "starttls" else ():  # that one needs a certificate: see the test
            bad = verdict.doubled or verdict.lost or verdict.stranded
            count, wrong = count + 1, wrong + bool(bad)
            told = ", ".join(f"{what} ({verdict.copies.get(to, 0)})" for to, what in verdict.told.items())
            print(f"{row} | {told} {'WRONG' if bad else ''}")
    print(f"{count} rows, {wrong} wrong")


if __name__ == "__main__":
    main()
