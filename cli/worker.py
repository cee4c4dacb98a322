"""gunicorn's worker for both applications: one thread reads and writes sockets, the others run whole requests.

No unfinished request and no unread answer holds a thread. The reading thread reads heads and bodies against deadlines
and a least rate, and writes the rest of an answer that a client does not take at once. A body beyond 64 kB is taken
only after the application was asked how much of it may come (`admit`). Only a few large bodies are in hand at once (see
large_bodies.py).
"""

import contextlib
import functools
import gc
import os
import socket
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final

import structlog
from gunicorn.workers.base import Worker

from cli.connections import UNREAD_S, ClientConnection, State
from cli.environ import answered, environ_of, environ_of_refusal, environ_to_ask, plain_answer
from cli.heads import RequestRefused
from cli.incoming import Incoming, Stage
from cli.large_bodies import LARGE, LargeBodies
from cli.open_connections import OpenConnections
from cli.turns import Turns

log = structlog.get_logger()

IDLE_S: Final = 75.0  # between two requests
LINGER_S: Final = 3.0  # for which bytes that a client still sends after its answer are thrown away
HUGE: Final = 8 * 1024 * 1024  # bytes of a body whose document may take a gigabyte
UNASKED: Final = 64 * 1024 * 1024  # the most bytes of a body, for an application without `admit`
_READ: Final = 256 * 1024
_LOOK_S: Final = 0.5
_STOP_IDLE_S: Final = 0.5
ANSWERS_S: Final = 12.0  # for the requests in hand at the end
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class ReadingWorker(Worker):
    """The worker described above. It touches a connection from the reading thread, or, while BUSY, from one other."""

    def init_process(self) -> None:
        self._open = OpenConnections()
        self._jobs: SimpleQueue[tuple[Callable[[ClientConnection], None], ClientConnection] | None] = SimpleQueue()
        self._large = LargeBodies[ClientConnection]()
        self._turns = Turns()
        super().init_process()

    def run(self) -> None:
        gc.collect()
        gc.freeze()  # the application lives as long as the process: no collection need look at it again
        self._admit = getattr(self.wsgi, "extensions", {}).get("admit")
        names = [f"request-{number}" for number in range(self.cfg.threads)]
        threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        for thread in threads:
            thread.start()
        listeners = {listener.fileno(): listener for listener in self.sockets}
        for listener in self.sockets:
            listener.setblocking(False)
            self._open.watch(listener.fileno())
        self._open.watch(self.PIPE[0])
        looked = 0.0
        while self.alive and self.ppid == os.getppid():
            # Not in each turn: it writes to a file, and with that would queue for the interpreter behind every request.
            if time.monotonic() - looked > _LOOK_S:
                looked = time.monotonic()
                self.notify()
                self._close_the_late()
            self._serve(listeners, _LOOK_S)
        for fd in listeners:
            self._open.forget(fd)
        for listener in self.sockets:
            while self._open.accept(listener):  # who is waiting there would be cut off, with a request under way
                pass
            listener.close()
        self._finish()
        for _ in threads:
            self._jobs.put(None)

    def _finish(self) -> None:
        """Answer what has begun; a connection that is idle may have a request on its way, and is kept for a moment."""
        began = time.monotonic()
        while self._open and time.monotonic() - began < ANSWERS_S:
            self.notify()
            # Again and again: an answer that began before the end makes its client idle later.
            self._open.hurry_the_idle(_STOP_IDLE_S)
            self._serve({}, 0.1)
            self._close_the_late()
        for one in self._open.all():
            self._open.close(one)

    def _serve(self, listeners: dict[int, Any], timeout_s: float) -> None:
        for fd in self._open.ready(timeout_s):
            if fd in listeners:
                self._open.accept(listeners[fd])
            elif fd == self.PIPE[0]:
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 4096)
            elif connection := self._open.at(fd):
                self._go_on(connection)

    # What the one thread does.

    def _go_on(self, one: ClientConnection) -> None:
        try:
            if one.state in (State.IDLE, State.READING):
                self._read(one)
            elif one.state is State.WRITING:
                self._write(one)
            elif one.state is State.LINGERING and not one.sock.recv(_READ):
                self._open.close(one)
            elif one.state is State.LINGERING:
                self._open.arm(one)
        except BlockingIOError:
            self._open.arm(one)
        except OSError:
            self._open.close(one)

    def _read(self, one: ClientConnection) -> None:
        if data := one.sock.recv(_READ):
            self._take(one, data, time.monotonic())
        else:
            self._open.close(one)

    def _take(self, one: ClientConnection, data: bytes, now: float) -> None:
        try:
            one.incoming.feed(data, now=now)
            self._see_what_came(one)
        except RequestRefused as refused:
            self._refuse(one, refused)

    def _see_what_came(self, one: ClientConnection) -> None:
        """Hand a whole request to a thread, or wait for more."""
        incoming = one.incoming
        if incoming.stage is Stage.WHOLE:
            self._hand_over(one)
        elif incoming.stage is Stage.ASKING:
            one.state = State.BUSY
            self._jobs.put((self._ask, one))
        else:
            if incoming.stage is Stage.BODY and incoming.head.expects_continue and not incoming.received:
                incoming.head.expects_continue = False
                one.sock.send(_CONTINUE)
            self._open.wait(one, State.READING if incoming.begun else State.IDLE, incoming.deadline)

    def _refuse(self, one: ClientConnection, refused: RequestRefused) -> None:
        one.state = State.BUSY
        environ = environ_of_refusal(refused.status, refused.words, one.client, self._address)
        self._jobs.put((lambda one: self._answer(one, environ, keeps_alive=False), one))

    def _close_the_late(self) -> None:
        for one in self._open.late():
            if one.state is State.READING:
                self._refuse(one, RequestRefused(408, "The request did not come in its time."))
            else:
                self._open.close(one)

    def _hand_over(self, one: ClientConnection) -> None:
        one.state = State.BUSY
        size = one.incoming.received
        if size <= LARGE:
            self._jobs.put((self._run, one))
        elif self._large.enter(one, size):
            self._jobs.put((self._run_large, one))

    # What the threads do.

    def _work(self) -> None:
        while job := self._jobs.get():
            work, one = job
            try:
                work(one)
            except OSError:
                self._open.close(one)  # the client is gone
            except Exception:
                log.exception("request_lost")
                self._open.close(one)

    def _ask(self, one: ClientConnection) -> None:
        head, most = one.incoming.head, 0
        environ = environ_to_ask(head, one.client, self._address)
        try:
            most = self._admit(environ) if self._admit else UNASKED
        except Exception:
            log.exception("admission_failed")
        try:
            one.incoming.allow(most, now=time.monotonic())
            self._see_what_came(one)
        except RequestRefused as refused:
            self._refuse(one, refused)

    def _run_large(self, one: ClientConnection) -> None:
        size = one.incoming.received
        try:
            self._run(one)
        finally:
            if size > HUGE:
                gc.collect()  # a refusal's traceback holds its document in a cycle, which is collected seldom
            for other in self._large.leave(size):
                self._jobs.put((self._run_large, other))

    def _run(self, one: ClientConnection) -> None:
        trusted = one.client[0] in self._trusted
        environ = environ_of(one.incoming, one.client, self._address, trusted=trusted)
        with self._turns.of(one.incoming.received):
            self._answer(one, environ, keeps_alive=one.incoming.head.keeps_alive)

    def _answer(self, one: ClientConnection, environ: dict[str, Any], *, keeps_alive: bool) -> None:
        try:
            answer, keeps = answered(self.wsgi, environ, keeps_alive=keeps_alive, closing=lambda: not self.alive)
        except Exception:
            log.exception("request_failed")
            answer, keeps = plain_answer(500), False
        one.left, one.keeps = memoryview(answer), keeps
        one.deadline = time.monotonic() + UNREAD_S
        self._write(one)

    def _write(self, one: ClientConnection) -> None:
        """Write as much as the client takes now; the rest follows when it takes more. Any thread may do this."""
        before = len(one.left)
        try:
            while one.left:
                one.left = one.left[one.sock.send(one.left) :]
        except BlockingIOError:
            pass
        now = time.monotonic()
        if one.left:
            self._open.wait(one, State.WRITING, now + UNREAD_S if len(one.left) < before else one.deadline)
        elif one.keeps:
            self._begin_anew(one, now)
        else:
            self._end(one, now)

    def _begin_anew(self, one: ClientConnection, now: float) -> None:
        rest, before = one.incoming.rest, one.incoming
        one.incoming = Incoming(now=now)
        before.close()
        if rest:
            self._take(one, rest, now)
        else:
            self._open.wait(one, State.IDLE, now + IDLE_S)

    def _end(self, one: ClientConnection, now: float) -> None:
        """Close, but let the client read its answer first: bytes that it still sends would reset the connection."""
        if one.incoming.stage is Stage.WHOLE and not one.incoming.unread:
            self._open.close(one)
        else:
            one.sock.shutdown(socket.SHUT_WR)
            self._open.wait(one, State.LINGERING, now + LINGER_S)

    @functools.cached_property  # gunicorn works its settings out anew each time
    def _address(self) -> tuple[str, int]:
        host, port = self.cfg.address[0][:2]
        return str(host), int(port)

    @functools.cached_property
    def _trusted(self) -> frozenset[str]:
        """The addresses of the edge, whose word about a client counts."""
        return frozenset(self.cfg.forwarded_allow_ips)
