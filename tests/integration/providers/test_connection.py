"""The wire: a request is written at most once, and what may be said after a failure is exact."""

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import pytest

from mailroom.providers.connection import LiveConnection, LostReply, NotWritten, Reply, Request

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class Server:
    """A server that does with each connection what the test says, and remembers what came in."""

    def __init__(self, behave: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self._behave, self._context = behave, context
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        try:
            if self._context:
                client = self._context.wrap_socket(client, server_side=True)
            self._behave(client)
        except OSError:
            pass


@contextmanager
def serving(behave: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[Server]:
    server = Server(behave, context)
    yield server
    server.listener.close()


def connect(server: Server, *, timeout_s: float = 2, idle_limit_s: float = 600, scheme: str = "http") -> LiveConnection:
    host = "localhost" if scheme == "https" else "127.0.0.1"
    made = LiveConnection(f"{scheme}://{host}:{server.port}", call_timeout_s=timeout_s, idle_limit_s=idle_limit_s)
    made.open()
    return made


def post(connection: LiveConnection, headers: Mapping[str, str] | None = None, body: bytes = b"body") -> Reply:
    """A whole exchange, as the callers' thread drives it."""
    connection.begin(Request("/", headers or {}, body))
    while (reply := connection.advance()) is None:
        wanted = select.POLLIN | (select.POLLOUT if connection.writing else 0)
        waiting = select.poll()
        waiting.register(connection.fileno(), wanted)
        waiting.poll(max(0.0, connection.deadline - time.monotonic()) * 1000)
    return reply


def answering(client: socket.socket) -> None:
    while client.recv(65536):
        client.sendall(OK)


def test_a_connection_carries_one_request_after_the_other() -> None:
    with serving(answering) as server:
        connection = connect(server)

        replies = [post(connection) for _ in range(3)]

        assert [(reply.status, reply.body) for reply in replies] == [(200, b"hi")] * 3
        assert server.connections == 1


def test_a_connection_that_the_other_side_closed_is_not_usable_and_never_reconnects() -> None:
    with serving(lambda client: client.close()) as server:
        connection = connect(server)
        time.sleep(0.1)

        assert not connection.usable()
        with pytest.raises((LostReply, NotWritten)):
            post(connection)
        with pytest.raises(NotWritten):
            post(connection)
        assert server.connections == 1


def test_a_connection_that_waited_for_half_the_idle_limit_is_retired() -> None:
    clock = [0.0]
    with serving(answering) as server:
        connection = LiveConnection(
            f"http://127.0.0.1:{server.port}", call_timeout_s=2, idle_limit_s=10, monotonic=lambda: clock[0]
        )
        connection.open()

        clock[0] = 4.9
        assert connection.usable()
        clock[0] = 5.1
        assert not connection.usable()


def test_a_reply_that_was_lost_is_lost_not_refused() -> None:
    def take_and_hang_up(client: socket.socket) -> None:
        client.recv(65536)
        client.close()

    with serving(take_and_hang_up) as server, pytest.raises(LostReply):
        post(connect(server))


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", b"nonsense\r\n\r\n", b""])
def test_an_answer_that_is_cut_off_is_lost(answer: bytes) -> None:
    def cut(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(answer)
        client.close()

    with serving(cut) as server, pytest.raises(LostReply):
        post(connect(server))


def test_an_answer_that_drips_in_is_given_up_at_the_calls_time_out() -> None:
    def drip(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
        for _ in range(50):
            client.sendall(b"x")
            time.sleep(0.2)

    with serving(drip) as server:
        began = time.monotonic()
        with pytest.raises(LostReply):
            post(connect(server, timeout_s=1))
        assert time.monotonic() - began < 2


def test_after_a_time_out_the_other_side_sees_a_reset_and_gets_nothing_more() -> None:
    seen: list[str] = []
    done = threading.Event()

    def never_answer(client: socket.socket) -> None:
        client.recv(10)
        time.sleep(1)
        try:
            while client.recv(65536):
                pass
            seen.append("end")
        except ConnectionResetError:
            seen.append("reset")
        done.set()

    with serving(never_answer) as server:
        with pytest.raises(LostReply):
            post(connect(server, timeout_s=0.5), body=b"x" * 5_000_000)
        assert done.wait(5)
        assert seen == ["reset"]


def test_nobody_listening_means_nothing_was_written() -> None:
    connection = LiveConnection("http://127.0.0.1:1", call_timeout_s=1, idle_limit_s=60)

    with pytest.raises(NotWritten):
        connection.open()


def test_a_redirect_is_not_followed() -> None:
    def redirect(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 307 Go\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n")
        answering(client)

    with serving(redirect) as server:
        assert post(connect(server)).status == 307


def test_a_line_break_in_a_header_never_leaves() -> None:
    with serving(answering) as server, pytest.raises(NotWritten):
        post(connect(server), {"X": "a\r\nY: b"})


def test_over_tls_1_3_session_tickets_that_come_unasked_do_not_make_a_connection_unusable(tls: ssl.SSLContext) -> None:
    with serving(answering, tls) as server:
        connection = connect(server, scheme="https")
        time.sleep(0.2)  # for the tickets to come in

        assert connection.usable()
        assert connection.usable()
        assert post(connection).status == 200
        assert connection.usable()


def test_over_tls_a_connection_that_the_other_side_closed_is_not_usable(tls: ssl.SSLContext) -> None:
    def close_soon(client: socket.socket) -> None:
        time.sleep(0.2)
        client.close()

    with serving(close_soon, tls) as server:
        connection = connect(server, scheme="https")
        time.sleep(0.5)

        assert not connection.usable()


def test_an_answer_that_comes_before_all_is_written_is_taken_and_the_rest_is_not_sent() -> None:
    def refuse_early(client: socket.socket) -> None:
        client.recv(1000)
        client.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 9\r\n\r\nForbidden")
        time.sleep(3)

    with serving(refuse_early) as server:
        connection = connect(server)

        reply = post(connection, body=b"x" * 20_000_000)

        assert (reply.status, reply.body) == (401, b"Forbidden")
        assert not connection.usable()
