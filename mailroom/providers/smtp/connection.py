"""One live SMTP session, over which a message is handed over at most once.

A dialogue waits, and the thread of the calls must not. So each dialogue runs in a thread of its own, and an eventfd
reports its end.

A session that was idle beyond its limit is never used: servers close idle sessions after five minutes (RFC 5321
4.5.3.2.7). A session retires after its number of messages. It is closed if the server refuses to go on (421, or a 4yz
that is not about a recipient), so that nothing more is tried over it. At the time-out the socket is reset, so that the
kernel sends nothing after we gave up.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult

from mailroom.providers.connection import NotWritten, Reply
from mailroom.providers.smtp.dialogue import CLOSES, Dialogue, Envelope, SmtpReply
from mailroom.providers.smtp.greeting import begin_session
from mailroom.providers.smtp.line import SmtpLine

_OPEN_S: Final = 20.0  # for connection, greeting and sign-in together
_MOST_IDLE_S: Final = 120.0  # servers may close after 300
_LEARNED_FOR_S: Final = 60.0


class Patience:
    """The number of messages that a session may carry: by the settings, or for a while fewer after a server refused
    more. Shared by the sessions of one account."""

    def __init__(self, most: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most, self._monotonic = most, monotonic
        self._learned, self._until = most, 0.0

    @property
    def messages(self) -> int:
        return self._learned if self._monotonic() < self._until else self._most

    def ended_after(self, carried: int) -> None:
        """Note after how many messages of a session a server refused the next one."""
        self._learned, self._until = min(self._most, max(1, carried)), self._monotonic() + _LEARNED_FOR_S


class SmtpConnection:
    """A session for one message at a time. Not thread-safe, apart from the thread that it starts itself."""

    def __init__(
        self,
        url: SplitResult,
        *,
        tls: str,
        local_name: str,
        call_timeout_s: float,
        idle_limit_s: float,
        patience: Patience,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url, self._tls, self._local_name = url, tls, local_name
        self._call_timeout_s, self._monotonic = call_timeout_s, monotonic
        self._retire_after_s = min(idle_limit_s / 2, _MOST_IDLE_S)
        self._patience = patience
        self._line: SmtpLine | None = None
        self._begun = 0  # messages
        self._reset_first = False
        self._used_at = self._deadline = 0.0
        self._over = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._dialogue: Dialogue | None = None
        self._thread: threading.Thread | None = None
        self._ended: SmtpReply | None = None

    def open(self) -> None:
        """Connect, greet, secure and sign in. Raises NotWritten: nothing can have been sent."""
        self.close()
        within_s = min(_OPEN_S, self._call_timeout_s)
        self._line = begin_session(self._url, tls=self._tls, local_name=self._local_name, within_s=within_s)
        self._line.keep_unsent_for(self._call_timeout_s)
        self._begun, self._reset_first = 0, False
        self._used_at = self._monotonic()

    def usable(self) -> bool:
        """True if the session is open and young enough, and the server has sent nothing, such as its goodbye."""
        if self._line is None or self._dialogue is not None or self._begun >= self._patience.messages:
            return False
        if self._monotonic() - self._used_at > self._retire_after_s:
            return False
        try:
            return not self._line.spoke()
        except (OSError, ValueError):
            return False

    def begin(self, request: Envelope) -> None:
        """Begin to hand the message over. The call's time begins. Raises NotWritten."""
        if self._line is None or self._dialogue is not None:
            raise NotWritten("the session is closed" if self._line is None else "the session is in use")
        # The line's own clock: a test may set ours.
        self._line.deadline = time.monotonic() + self._call_timeout_s
        self._deadline = self._monotonic() + self._call_timeout_s
        self._dialogue = Dialogue(self._line, request, used=self._begun > 0, reset_first=self._reset_first)
        self._begun, self._ended = self._begun + 1, None
        self._thread = threading.Thread(target=self._run, args=(self._dialogue,), name="smtp", daemon=True)
        self._thread.start()

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
        """The end of the dialogue with the server's last answer; None while it goes on. Raises NotWritten if no message
        was begun."""
        dialogue = self._dialogue
        if dialogue is None or self._thread is None:
            raise NotWritten("no message was begun")
        if self._ended is None:
            if self._monotonic() < self._deadline:
                return None
            reply = dialogue.give_up()
            self._drop()
            return reply
        self._thread.join()
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._over)
        reply, self._dialogue, self._thread = self._ended, None, None
        self._used_at = self._monotonic()
        if self._lost_patience(reply):
            self._patience.ended_after(self._begun - 1)
        if not dialogue.in_step:
            self._drop()
        elif self._is_spent(reply):
            self.close()
        else:
            self._reset_first = not 200 <= reply.status < 300
        return reply

    def close(self) -> None:
        if self._line is not None:
            if self._dialogue is None:
                self._line.say_goodbye()
                self._line.close()
            else:
                self._line.reset()
        self._line = self._dialogue = self._thread = None

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._over)

    def _run(self, dialogue: Dialogue) -> None:
        ended = dialogue.run()
        if self._dialogue is dialogue:
            self._ended = ended
            os.eventfd_write(self._over, 1)

    def _drop(self) -> None:
        if self._line is not None:
            self._line.reset()
        self._line = self._dialogue = self._thread = None

    @staticmethod
    def _lost_patience(reply: SmtpReply) -> bool:
        return reply.used and 400 <= reply.status < 500 and reply.step != "rcpt"

    @staticmethod
    def _is_spent(reply: SmtpReply) -> bool:
        """True if the server's complaint may be about this session alone. Any 4yz says so once it has carried mail."""
        if reply.status == CLOSES or (400 <= reply.status < 500 and reply.step != "rcpt"):
            return True
        return reply.used and any(400 <= code < 500 for code, _ in reply.refused.values())
