"""A way from one sender to one store that can be cut, or left open with nothing passing."""

import contextlib
import selectors
import socket
import threading
from enum import StrEnum


class Way(StrEnum):
    OPEN = "open"
    FROZEN = "frozen"  # connections stand, nothing passes: as with a host that hangs
    CUT = "cut"  # connections are reset, new ones refused


class Proxy:
    """Listens on a port of its own and passes bytes to `target`, both ways, while its way is open."""

    def __init__(self, target: int) -> None:
        self._target, self.way = target, Way.OPEN
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._ending = False
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
            for key, _ in self._selector.select(0.05):
                found = key.fileobj
                assert isinstance(found, socket.socket)
                if found is self._listener:
                    self._accept()
                elif found in self._peers:
                    self._pass_on(found)
        for one in [*self._peers, self._listener]:
            one.close()

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        if self.way is Way.CUT:
            near.close()
            return
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=2)
        except OSError:
            near.close()
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
            each.close()
