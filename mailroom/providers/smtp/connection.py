"""One live SMTP session, over which a message is handed over at most once.

smtplib waits, and the callers' thread must not. So the dialogue of a call runs in a thread, and an eventfd says when it
is over. What may be said after a failure is exact, because the message is over only with its final dot: nothing is
accepted before that was sent (RFC 5321 4.1.1.4), and whether it may be sent is decided under a lock, once. After it,
a lost answer is in doubt (RFC 1047).

A session that waited for longer than its limit is never used: servers close idle ones after five minutes (RFC 5321
4.5.3.2.7). At the time-out the socket is reset, so that the kernel sends nothing after we gave up.
"""

import contextlib
import os
import select
import smtplib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote

from mailroom.providers.connection import LostReply, NotWritten, Reply

_OPEN_S: Final = 20.0
_WRITE_BYTES: Final = 64 * 1024
_MOST_IDLE_S: Final = 120.0  # servers may close after 300
DOT: Final = b".\r\n"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A ready call: whom it is from and to, and the message with CRLF line ends."""

    sender: str
    recipients: Sequence[str]
    message: bytes


@dataclass(frozen=True, slots=True)
class SmtpReply(Reply):
    """The server's last word in `status` and `body`, and what it said of each recipient that it refused."""

    refused: Mapping[str, tuple[int, str]]
    step: str  # at which it was said: mail, rcpt, data, or message


class _GivenUp(Exception):
    """The call's time is over: the final dot is not to be sent."""


class SmtpConnection:
    """For one message at a time. Not thread-safe but for its own thread."""

    def __init__(
        self,
        url: SplitResult,
        *,
        tls: str,
        local_name: str,
        call_timeout_s: float,
        idle_limit_s: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._tls, self._local_name = url, tls, local_name
        self._call_timeout_s, self._monotonic = call_timeout_s, monotonic
        self._retire_after_s = min(idle_limit_s / 2, _MOST_IDLE_S)
        self._smtp: smtplib.SMTP | None = None
        self._used_at = self._deadline = 0.0
        self._over = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._dialogue: threading.Thread | None = None
        self._ended: Reply | BaseException | None = None
        self._deciding = threading.Lock()
        self._given_up = self._dot_sent = False

    def open(self) -> None:
        """Connect, greet, secure and sign in. Raises NotWritten: nothing can have been sent."""
        self.close()
        host, secure = self._url.hostname or "", self._tls == "implicit"
        port = self._url.port or (465 if secure else 587)
        try:
            if secure:
                context = ssl.create_default_context()
                self._smtp = smtplib.SMTP_SSL(host, port, self._local_name, timeout=_OPEN_S, context=context)
            else:
                self._smtp = smtplib.SMTP(host, port, self._local_name, timeout=_OPEN_S)
            self._greet(self._smtp)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            self.close()
            raise NotWritten(f"no session with {host}:{port}: {type(error).__name__} {_words(error)}") from error
        self._used_at = self._monotonic()

    def _greet(self, smtp: smtplib.SMTP) -> None:
        smtp.ehlo_or_helo_if_needed()
        if self._tls == "starttls":
            smtp.starttls(context=ssl.create_default_context())  # raises where the server does not offer it
            smtp.ehlo()
        if self._url.username:
            smtp.login(unquote(self._url.username), unquote(self._url.password or ""))
        assert smtp.sock is not None
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._call_timeout_s * 1000))

    def usable(self) -> bool:
        """True if the session is open, young enough, and the server has not spoken: it would say that it closes."""
        sock = self._smtp.sock if self._smtp else None
        if sock is None or self._dialogue is not None or self._monotonic() - self._used_at > self._retire_after_s:
            return False
        try:
            waiting = select.poll()
            waiting.register(sock, select.POLLIN)
            return not waiting.poll(0) and not (isinstance(sock, ssl.SSLSocket) and sock.pending())
        except (OSError, ValueError):
            return False

    def begin(self, request: Envelope) -> None:
        """Hand the message over, from now on within the call's time. Raises NotWritten."""
        if self._smtp is None or self._dialogue is not None:
            raise NotWritten("the session is closed" if self._smtp is None else "the session is in use")
        self._deadline = self._monotonic() + self._call_timeout_s
        self._given_up = self._dot_sent = False
        self._ended = None
        self._dialogue = threading.Thread(target=self._run, args=(self._smtp, request), name="smtp", daemon=True)
        self._dialogue.start()

    def fileno(self) -> int:
        """Readable when the dialogue is over."""
        return self._over

    @property
    def writing(self) -> bool:
        return False  # the dialogue's thread writes

    @property
    def deadline(self) -> float:
        return self._deadline

    def advance(self) -> Reply | None:
        """What the server said; None while the dialogue goes on. Raises NotWritten or LostReply, and is closed then."""
        if self._dialogue is None:
            raise NotWritten("no message was begun")
        if self._ended is None:
            if self._monotonic() < self._deadline:
                return None
            raise self._given_up_now()
        self._dialogue.join()
        self._dialogue = None
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._over)
        if isinstance(self._ended, Reply):
            self._used_at = self._monotonic()
            return self._ended
        failed = self._ended
        self._reset()
        raise self._failure(failed)

    def _given_up_now(self) -> LostReply | NotWritten:
        """The time is over. If the final dot has not left by now, it never will."""
        with self._deciding:
            self._given_up = True
            sent = self._dot_sent
        self._reset()
        self._dialogue = None
        error = TimeoutError("the call's time is over")
        return LostReply(str(error)) if sent else NotWritten(f"{error}, before the message was handed over")

    def _failure(self, error: BaseException) -> LostReply | NotWritten:
        words = f"{type(error).__name__} {_words(error)}"
        return LostReply(words) if self._dot_sent else NotWritten(f"the message was not handed over: {words}")

    def _run(self, smtp: smtplib.SMTP, envelope: Envelope) -> None:
        try:
            self._ended = self._hand_over(smtp, envelope)
        except BaseException as error:
            self._ended = error
        os.eventfd_write(self._over, 1)

    def _hand_over(self, smtp: smtplib.SMTP, envelope: Envelope) -> Reply:
        assert smtp.sock is not None
        smtp.sock.settimeout(max(0.1, self._deadline - self._monotonic()))
        options = [f"SIZE={len(envelope.message)}"] if smtp.has_extn("size") else []
        options += ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") else []
        # The first digit decides, at every step (RFC 5321 4.3.2): servers answer 254, 252 and more to what they take.
        code, text = smtp.mail(envelope.sender, options)
        if code // 100 != 2:
            return self._refused(smtp, code, text, {}, "mail")
        refused: dict[str, tuple[int, str]] = {}
        for recipient in envelope.recipients:
            code, text = smtp.rcpt(recipient)
            if code // 100 != 2:
                refused[recipient] = (code, _text(text))
        if len(refused) == len(envelope.recipients):
            return self._refused(smtp, code, text, refused, "rcpt")
        code, text = smtp.docmd("DATA")
        if code // 100 != 3:
            return self._refused(smtp, code, text, refused, "data")
        self._write(smtp.sock, _stuffed(envelope.message))
        with self._deciding:
            if self._given_up:
                raise _GivenUp
            self._dot_sent = True
        smtp.sock.sendall(DOT)
        code, text = smtp.getreply()
        return SmtpReply(code, {}, text, refused, "message")

    @staticmethod
    def _refused(
        smtp: smtplib.SMTP, code: int, text: bytes, refused: Mapping[str, tuple[int, str]], step: str
    ) -> SmtpReply:
        smtp.docmd("RSET")
        return SmtpReply(code, {}, text, refused, step)

    @staticmethod
    def _write(sock: socket.socket, message: bytes) -> None:
        view = memoryview(message)
        for start in range(0, len(view), _WRITE_BYTES):
            sock.sendall(view[start : start + _WRITE_BYTES])

    def close(self) -> None:
        if self._smtp is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                if self._dialogue is None and self._smtp.sock is not None:
                    self._smtp.sock.settimeout(1)
                    self._smtp.quit()
            self._smtp.close()
            self._smtp = None

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._over)

    def _reset(self) -> None:
        """Close with RST: what the kernel still holds is thrown away, not sent later."""
        sock = self._smtp.sock if self._smtp else None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RDWR) if self._dialogue is not None else None
                sock.close()
        self._smtp = None


def _stuffed(message: bytes) -> bytes:
    """With a dot before each line's own first dot, and a line end at its end: RFC 5321 4.5.2."""
    whole = message if message.endswith(b"\r\n") else message + b"\r\n"
    stuffed = whole.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _words(error: BaseException) -> str:
    return str(error)[:300]
