"""An SMTP server that answers as it is told at any step of the dialogue, may hang up after that, and keeps a record of
what it took: the witness beside what Mailroom says.

    server = ScriptedSmtp().start()
    server.script(Said("rcpt", "452 4.4.5 later", drops=True, who="b@example.org"))
"""

import contextlib
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

STEPS: Final = ("connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "dot", "rset", "quit")
SILENCE: Final = "(silence)"
_SILENT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Said:
    """At a step, this answer (several lines are parted by \\n; SILENCE is none), and then, perhaps, the line drops.

    `who`: only for this recipient. `skip`: so many times as always first; `times`: so often, then all is well again.
    `keeps`: at the dot, whether the server takes the message where its answer does not say so.
    """

    step: str
    answer: str
    drops: bool = False
    who: str = ""
    skip: int = 0
    times: int = 1
    keeps: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that the server took, from whom and for whom by its envelope, and when."""

    recipients: Sequence[str]
    raw: bytes
    session: int
    sender: str = ""
    at: float = field(default_factory=time.time)


@dataclass(slots=True)
class _Session:
    number: int
    sock: socket.socket
    messages: int = 0
    mail: bool = False
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    inbox: bytearray = field(default_factory=bytearray)


class _HungUp(Exception):
    pass


class ScriptedSmtp:
    """Every session is a thread. `per_session`: after so many messages a session takes no more, with `spent`."""

    def __init__(
        self,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        password: str = "",
        per_session: int = 0,
        spent: str = "452 4.4.5 too many messages",
        extensions: Sequence[str] = ("SIZE 40000000",),
        pace: Callable[[], str | None] = lambda: None,
        latency_s: float = 0.0,
    ) -> None:
        self.latency_s = latency_s
        self.refused_addresses: set[str] = set()
        self._port, self._tls, self._password = port, tls, password
        self._per_session, self._spent, self._pace = per_session, spent, pace
        self._extensions = list(extensions)
        self._lock = threading.Lock()
        self._script: list[Said] = []
        self._seen: Counter[int] = Counter()
        self._open: set[socket.socket] = set()
        self.taken: list[Taken] = []
        self.refused: Counter[str] = Counter()  # by step: what was said by script or by a limit
        self.sessions = 0
        self.commands: Counter[str] = Counter()

    def start(self) -> "ScriptedSmtp":
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=256)
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Nobody is let in any more, and every session drops."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            left, self._open = list(self._open), set()
        for sock in left:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def url(self, credentials: str = "", query: str = "?tls=none") -> str:
        return f"smtp://{credentials}localhost:{self._port}{query}"

    def script(self, *said: Said) -> None:
        """Say these at their next occasions, in the place of what was scripted before."""
        with self._lock:
            self._script, self._seen = list(said), Counter()

    def copies(self) -> Counter[str]:
        """How often each recipient was carried."""
        return Counter(to for one in list(self.taken) for to in one.recipients)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.sessions += 1
                session = _Session(self.sessions, sock)
                self._open.add(sock)
            threading.Thread(target=self._serve, args=(session,), daemon=True).start()

    def _serve(self, session: _Session) -> None:
        try:
            self._say(session, "connect", "220 ready")
            while line := self._line(session):
                self._answer(session, line)
        except (OSError, _HungUp):
            pass
        finally:
            with self._lock:
                self._open.discard(session.sock)
            with contextlib.suppress(OSError):
                session.sock.close()

    def _answer(self, session: _Session, line: str) -> None:
        verb = line.split(" ")[0].split(":")[0].upper()
        self.commands[verb] += 1
        if verb in ("EHLO", "HELO"):
            self._say(session, "ehlo", self._greeting() if verb == "EHLO" else "250 hello")
        elif verb == "STARTTLS":
            if self._say(session, "starttls", "220 go on")[0] == "2" and self._tls:
                session.sock = self._tls.wrap_socket(session.sock, server_side=True)
        elif verb == "AUTH":
            self._say(session, "auth", "235 2.7.0 signed in")
        elif verb == "MAIL":
            session.recipients, session.sender = [], _path_in(line)
            limit = self._limit(session)
            session.mail = self._say(session, "mail", limit or "250 yes")[0] == "2"
        elif verb == "RCPT":
            to = _path_in(line)
            usual = "550 5.1.1 nobody" if to in self.refused_addresses else "250 yes"
            said = self._say(session, "rcpt", usual if session.mail else "503 no MAIL", to)
            if said[:1] not in ("3", "4", "5"):
                session.recipients.append(to)  # what is no answer may have been a yes
        elif verb == "DATA":
            if self._say(session, "data", "354 go on" if session.recipients else "554 nobody")[0] == "3":
                self._message(session)
        elif verb == "RSET":
            session.mail, session.recipients = False, []
            self._say(session, "rset", "250 yes")
        elif verb == "QUIT":
            self._say(session, "quit", "221 bye")
            raise _HungUp
        else:
            self._write(session, "500 what")

    def _message(self, session: _Session) -> None:
        lines: list[bytes] = []
        while (line := self._raw_line(session)) != b".\r\n":
            lines.append(line)
        recipients, session.mail, session.recipients = tuple(session.recipients), False, []
        session.messages += 1
        time.sleep(self.latency_s)
        raw = b"".join(line[1:] if line.startswith(b".") else line for line in lines)
        self._say(session, "dot", "250 2.0.0 taken", keep=lambda: self._keep(session, recipients, raw))

    def _keep(self, session: _Session, recipients: Sequence[str], raw: bytes) -> None:
        self.taken.append(Taken(recipients, raw, session.number, session.sender))

    def _limit(self, session: _Session) -> str | None:
        if self._per_session and session.messages >= self._per_session:
            self.refused["session"] += 1
            return self._spent
        if slow := self._pace():
            self.refused["pace"] += 1
        return slow

    def _greeting(self) -> str:
        offers = [
            *self._extensions,
            *(["STARTTLS"] if self._tls else []),
            *(["AUTH PLAIN LOGIN"] * bool(self._password)),
        ]
        lines = ["localhost", *offers]
        return "\n".join(f"250{'-' if n < len(lines) - 1 else ' '}{line}" for n, line in enumerate(lines))

    def _say(
        self, session: _Session, step: str, usual: str, who: str = "", keep: Callable[[], None] | None = None
    ) -> str:
        """Say what is scripted here, else the usual. Returns it; what hangs up ends the session."""
        said = self._scripted(step, who)
        answer = said.answer if said else usual
        # Kept before it is told: a server that dies between the two has the message.
        if keep and (_first(answer)[:1] == "2" or (said and said.keeps)):
            keep()
        if said:
            self.refused[step] += 1
        if answer == SILENCE:
            if not (said and said.drops):
                session.sock.settimeout(_SILENT_S)
                while session.sock.recv(65536):
                    pass
            raise _HungUp
        self._write(session, answer)
        if said and said.drops:
            raise _HungUp
        return _first(answer)

    def _scripted(self, step: str, who: str) -> Said | None:
        with self._lock:
            for number, said in enumerate(self._script):
                if said.step != step or (said.who and said.who != who):
                    continue
                self._seen[number] += 1
                if said.skip < self._seen[number] <= said.skip + said.times:
                    return said
        return None

    @staticmethod
    def _write(session: _Session, answer: str) -> None:
        session.sock.sendall("".join(f"{line}\r\n" for line in answer.split("\n")).encode())

    def _line(self, session: _Session) -> str:
        return self._raw_line(session).decode("utf-8", "replace").strip()

    @staticmethod
    def _raw_line(session: _Session) -> bytes:
        while (end := session.inbox.find(b"\n")) < 0:
            received = session.sock.recv(65536)
            if not received:
                raise _HungUp
            session.inbox += received
        line = bytes(session.inbox[: end + 1])
        del session.inbox[: end + 1]
        return line


def _path_in(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


def _first(answer: str) -> str:
    """The line that ends the first answer: what comes after it answers nothing."""
    return next((line for line in answer.split("\n") if line[3:4] != "-"), answer)


def at_most(
    count: int, per_s: float = 1.0, *, said: str = "454 4.7.0 Throttling failure: Maximum sending rate exceeded."
) -> Callable[[], str | None]:
    """A server's rate: so many messages in each span."""
    lock, begun = threading.Lock(), list[float]()

    def pace() -> str | None:
        with lock:
            now = time.monotonic()
            begun[:] = [at for at in begun if now - at < per_s]
            if len(begun) >= count:
                return said
            begun.append(now)
            return None

    return pace
