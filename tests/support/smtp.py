"""A real local SMTP server that keeps what it accepted, and misbehaves on request."""

import asyncio
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from local.ports import free_port


@dataclass(frozen=True)
class Got:
    """A message that was accepted: its envelope, and the message as its readers see it."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        found = message_from_bytes(self.raw, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found


@dataclass
class Post:
    """aiosmtpd's handler. `at_rcpt` and `at_data` give replies by address or for the next messages; `takes` replies by
    address to recipients that are taken."""

    got: list[Got] = field(default_factory=list)
    at_rcpt: dict[str, str] = field(default_factory=dict)
    takes: dict[str, str] = field(default_factory=dict)
    at_data: list[str] = field(default_factory=list)
    sessions: set[SMTP] = field(default_factory=set)  # those that are open
    most_sessions: int = 0  # that were open at a time. Counted at each message: a session's end is known by then

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if reply := self.at_rcpt.get(address):
            return reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return self.takes.get(address, "250 OK")

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.most_sessions = max(self.most_sessions, len(self.sessions))
        if self.at_data:
            return self.at_data.pop(0)
        assert isinstance(envelope.content, bytes)
        self.got.append(Got(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.content))
        return f"250 OK {len(self.got)}"


class _Counted(SMTP):
    """aiosmtpd's side of a session. Its handler knows which sessions are open."""

    event_handler: Post

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.event_handler.sessions.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.event_handler.sessions.discard(self)
        super().connection_lost(error)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return _Counted(self.handler, **self.SMTP_kwargs)


class SmtpServer:
    """Start, stop and start again on the same port."""

    def __init__(self, *, tls: Any = None, password: str | None = None) -> None:
        self.port, self.post = free_port(), Post()
        self._tls, self._password = tls, password
        self._controller: Controller | None = None

    def start(self) -> "SmtpServer":
        options: dict[str, Any] = {"tls_context": self._tls, "require_starttls": True} if self._tls else {}
        if self._password:
            options |= {"authenticator": self._authenticate, "auth_required": True, "auth_require_tls": False}
        self._controller = _Controller(self.post, "127.0.0.1", self.port, data_size_limit=40_000_000, **options)
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller:
            self._controller.stop()
            self._controller = None

    def url(self, credentials: str = "", query: str = "?tls=none") -> str:
        return f"smtp://{credentials}localhost:{self.port}{query}"

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and data.password.decode() == self._password
        return AuthResult(success=right, handled=False)


class Script:
    """A server that says what it is told to, line for line: for what no sane server does."""

    def __init__(self, talk: Callable[[Any, socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._talk = talk
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rwb", buffering=0) as file:
            self._talk(file, sock)

    def close(self) -> None:
        self._listener.close()


def polite(file: Any, until: bytes) -> bytes:
    """Greet and say yes to everything until a line begins so. Returns that line; for `.` the end of the message."""
    file.write(b"220 hello\r\n")
    while line := file.readline():
        if until != b"." and line.upper().startswith(until):
            return bytes(line)
        if line.upper().startswith(b"EHLO"):
            file.write(b"250 localhost\r\n")
        elif line.upper().startswith(b"DATA"):
            file.write(b"354 go on\r\n")
            while (line := file.readline()) and line != b".\r\n":
                pass
            if until == b".":
                return bytes(line)
            file.write(b"250 taken\r\n")
        else:
            file.write(b"250 yes\r\n")
    return b""
