"""A way from one process to one server that can be cut, or left open with nothing passing."""

import contextlib
import selectors
import socket
import threading
import time
from enum import StrEnum
from typing import Final

import psutil

_LOOK_S: Final = 0.2  # for connections of a process that is shut out


class Way(StrEnum):
    OPEN = "open"
    FROZEN = "frozen"  # connections stand, nothing passes: as with a host that hangs
    CUT = "cut"  # connections are reset, new ones refused


class Proxy:
    """Listens on a port of its own and passes bytes to `target`, both ways, while its way is open.

    `shut_out` are processes that are refused while all others pass: so a member of a cluster is cut off from the others
    also where it is the one that connects.
    """

    def __init__(self, target: int) -> None:
        self._target, self.way = target, Way.OPEN
        self.shut_out: frozenset[int] = frozenset()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._near: dict[socket.socket, int] = {}  # accepted connections, by the port that they come from
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ending, self._looked_at = False, 0.0
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending = True
        self._thread.join(5)

    def _run(self) -> None:
        while not self._ending:
            if self.way is Way.FROZEN:
                threading.Event().wait(0.05)
                continue
            if self.way is Way.CUT:
                for one in list(self._peers):
                    self._drop(one)
            elif self.shut_out and time.monotonic() > self._looked_at + _LOOK_S:
                self._looked_at = time.monotonic()
                for one in self._of_shut_out(list(self._near)):
                    self._drop(one)
            for key, _ in self._selector.select(0.05):
                found = key.fileobj
                assert isinstance(found, socket.socket)
                if found is self._listener:
                    self._accept()
                elif found in self._peers:
                    self._pass_on(found)
        for one in [*self._peers, self._listener]:
            one.close()

    def _of_shut_out(self, near: list[socket.socket]) -> list[socket.socket]:
        """Those of the connections that come from a process that is shut out."""
        ports: set[int] = set()
        for pid in self.shut_out:
            with contextlib.suppress(psutil.Error):
                ports |= {own.laddr.port for own in psutil.Process(pid).net_connections("tcp") if own.laddr}
        return [one for one in near if self._near.get(one) in ports]

    def _accept(self) -> None:
        near, (_, port) = self._listener.accept()
        self._near[near] = port
        if self.way is Way.CUT or (self.shut_out and self._of_shut_out([near])):
            self._close(near)
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=2)
        except OSError:
            self._close(near)
            return
        for one, other in ((near, far), (far, near)):
            one.settimeout(5)
            self._peers[one] = other
            self._selector.register(one, selectors.EVENT_READ)

    def _pass_on(self, source: socket.socket) -> None:
        try:
            received = source.recv(256 * 1024)
            if received:
                self._peers[source].sendall(received)
                return
        except OSError:
            pass
        self._drop(source)

    def _drop(self, one: socket.socket) -> None:
        other = self._peers.pop(one, None)
        for each in filter(None, (one, other)):
            self._peers.pop(each, None)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(each)
            self._close(each)

    def _close(self, one: socket.socket) -> None:
        self._near.pop(one, None)
        one.close()
