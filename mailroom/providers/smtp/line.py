"""The line to an SMTP server: one command, one answer, all before a deadline.

If a server spoke unasked, each later answer would be taken for the answer to another command: an accepted recipient
would count as refused, a refused message as accepted. So the line is checked before each command, and ends there.
"""

import contextlib
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Final

from mailroom.providers.smtp.replies import Garbled, Inbox, SmtpAnswer

_READ_BYTES: Final = 16 * 1024
_WRITE_BYTES: Final = 64 * 1024


class SmtpLine:
    """Not thread-safe. All methods raise OSError if the line breaks or `deadline` passes, and Garbled."""

    def __init__(self, sock: socket.socket, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._socket, self._monotonic = sock, monotonic
        self._inbox, self._ended = Inbox(), False
        # Without this the final dot waits for the acknowledgement of the message: 40 ms a mail.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.deadline = 0.0
        self.takes_size = False  # the server offers SIZE (RFC 1870)

    def ask(self, command: str) -> SmtpAnswer:
        """Send a command and read its answer. Raises ValueError for a command with a line break."""
        if "\r" in command or "\n" in command:
            raise ValueError("a line break in an SMTP command")
        if self.spoke():
            raise Garbled(f"the server said unasked: {self._unasked()}")
        self.send(command.encode("ascii") + b"\r\n")
        return self.read()

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), _WRITE_BYTES):
            self._socket.settimeout(self._left())
            self._socket.sendall(view[start : start + _WRITE_BYTES])

    def read(self) -> SmtpAnswer:
        while (answer := self._inbox.take()) is None:
            if self._ended:
                raise ConnectionError("the server closed the connection")
            self._socket.settimeout(self._left())
            self._put(self._socket.recv(_READ_BYTES))
        return answer

    def spoke(self) -> bool:
        """True if bytes have come in unasked, or the end of the connection."""
        if self._inbox or self._ended:
            return True
        waiting = select.poll()
        waiting.register(self._socket, select.POLLIN)
        if waiting.poll(0) or (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()):
            self._take_what_is_here()
        return bool(self._inbox) or self._ended

    def last_words(self) -> SmtpAnswer | None:
        """The server's last answer before the line broke; None unless it is whole."""
        with contextlib.suppress(OSError, Garbled, ValueError):
            if self.spoke():
                return self._inbox.take()
        return None

    def secure(self, context: ssl.SSLContext, host: str) -> None:
        """Begin TLS. Raises Garbled if the server has sent anything after its answer to STARTTLS."""
        if self.spoke():
            raise Garbled("the server spoke between STARTTLS and TLS")
        self._socket.settimeout(self._left())
        self._socket = context.wrap_socket(self._socket, server_hostname=host)

    def keep_unsent_for(self, seconds: float) -> None:
        """Bound the kernel's own retries by so many seconds, so that it gives up no later than we do."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))

    def say_goodbye(self) -> None:
        """QUIT, without waiting: nothing depends on its answer. Only between messages."""
        with contextlib.suppress(OSError, ValueError):
            self._socket.settimeout(0)
            self._socket.send(b"QUIT\r\n")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def reset(self) -> None:
        """Close with RST: the kernel drops unsent bytes, instead of sending them later. Any thread may call this."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.shutdown(socket.SHUT_RDWR)
        self.close()

    def _put(self, received: bytes) -> None:
        self._inbox.put(received)
        self._ended = not received

    def _take_what_is_here(self) -> None:
        self._socket.settimeout(0)
        try:
            self._put(self._socket.recv(_READ_BYTES))
        except (BlockingIOError, ssl.SSLWantReadError):
            pass  # only session tickets of TLS; they are read now
        except OSError:
            self._ended = True

    def _unasked(self) -> str:
        try:
            return str(self._inbox.take() or "the end")
        except Garbled as error:
            return str(error)

    def _left(self) -> float:
        left = self.deadline - self._monotonic()
        if left <= 0:
            raise TimeoutError("the time is over")
        return left
