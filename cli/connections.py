"""One client's connection, and how many there may be."""

import contextlib
import resource
import socket
from enum import Enum, auto
from typing import Final

from cli.incoming import Incoming

FIRST_BYTE_S: Final = 20.0  # until a new connection must have sent something
UNREAD_S: Final = 10.0  # until a client must have taken more of its answer
MOST_CONNECTIONS: Final = 2_000


class State(Enum):
    IDLE = auto()  # nothing of a request has come
    READING = auto()
    BUSY = auto()  # a thread has it, or it waits for one
    WRITING = auto()
    LINGERING = auto()  # answered; whatever still comes is thrown away


class ClientConnection:
    """One client. A thread touches it while `state` is BUSY, the reading thread in all other states."""

    def __init__(self, sock: socket.socket, client: tuple[str, int], *, now: float) -> None:
        self.sock, self.fd, self.client = sock, sock.fileno(), client
        self.state, self.deadline = State.IDLE, now + FIRST_BYTE_S
        self.incoming = Incoming(now=now)
        self.left = memoryview(b"")  # of an answer
        self.keeps = True


def most_connections() -> int:
    """As many as files may be open, with some to spare."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + 1_000
    if soft < wanted:
        soft = min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(64, min(MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 500))
