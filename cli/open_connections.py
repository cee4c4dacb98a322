"""The open connections of a worker (see worker.py), and the poll that says which of them can be read or written."""

import contextlib
import errno
import select
import socket
import time
from collections.abc import Sequence
from typing import Any, Final

from cli.connections import ClientConnection, State, most_connections

# Bytes of answers that the kernel holds for a client which does not read. By itself it would hold megabytes: a dozen
# answers for each of hundreds of clients who ask and never read.
_UNSENT: Final = 128 * 1024
_AT_ONCE: Final = 64  # connections that are accepted before others are served
_ARMED: Final = select.EPOLLONESHOT | select.EPOLLRDHUP


class OpenConnections:
    """Each is watched for one event, until it is armed again. The reading thread calls all methods; a thread that has a
    BUSY connection calls `wait` and `close` with that one."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._open: dict[int, ClientConnection] = {}
        self._most = most_connections()

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> list[ClientConnection]:
        return list(self._open.values())

    def at(self, fd: int) -> ClientConnection | None:
        return self._open.get(fd)

    def watch(self, fd: int) -> None:
        """Watch a descriptor that is no connection."""
        self._poll.register(fd, select.EPOLLIN)

    def forget(self, fd: int) -> None:
        """Undo `watch`."""
        self._poll.unregister(fd)

    def ready(self, timeout_s: float) -> list[int]:
        """The descriptors on which something has happened, waiting for the first."""
        try:
            return [fd for fd, _ in self._poll.poll(timeout_s)]
        except InterruptedError:
            return []

    def accept(self, listener: Any) -> bool:
        """True if more may be waiting."""
        for _ in range(_AT_ONCE):
            try:
                sock, client = listener.accept()
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    self._make_room()
                return False
            if len(self._open) >= self._most and not self._make_room():
                sock.close()
                continue
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
            one = ClientConnection(sock, client[:2] if client else ("", 0), now=time.monotonic())
            self._open[one.fd] = one
            self._poll.register(one.fd, select.EPOLLIN | _ARMED)
        return True

    def _make_room(self) -> bool:
        """Close the connection that has kept us waiting for longest: an honest client is done within moments."""
        waiting = [one for one in self.all() if one.state is not State.BUSY]
        if not waiting:
            return False
        self.close(min(waiting, key=lambda one: (one.state is not State.IDLE, one.deadline)))
        return True

    def wait(self, one: ClientConnection, state: State, deadline: float) -> None:
        """Watch the connection in this state, which is not BUSY."""
        one.deadline, one.state = deadline, state
        self.arm(one)

    def arm(self, one: ClientConnection) -> None:
        """Watch it once more, in its state."""
        event = select.EPOLLOUT if one.state is State.WRITING else select.EPOLLIN
        with contextlib.suppress(OSError, ValueError):  # it is closed by now
            self._poll.modify(one.fd, event | _ARMED)

    def close(self, one: ClientConnection) -> None:
        self._open.pop(one.fd, None)
        one.incoming.close()
        one.sock.close()  # which takes it off the poll as well

    def late(self) -> Sequence[ClientConnection]:
        """Those whose deadline has come, without the BUSY ones."""
        now = time.monotonic()
        # The state first: a thread that is done with a BUSY one sets the new deadline before the state.
        return [one for one in self.all() if one.state is not State.BUSY and one.deadline <= now]

    def hurry_the_idle(self, within_s: float) -> None:
        latest = time.monotonic() + within_s
        for one in self.all():
            if one.state is State.IDLE:
                one.deadline = min(one.deadline, latest)
