"""One thread, connected sockets, one send and one receive for a call: the least that a call can cost in Python."""

import select
import socket

import httptools

from benchmarks import form
from benchmarks.clients import Target, check


class _Line:
    """A connection with at most one call on it."""

    def __init__(self, target: Target) -> None:
        self.socket = socket.create_connection((target.host, target.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.send, self.receive = self.socket.send, self.socket.recv
        self.parser = httptools.HttpResponseParser(self)
        self.feed = self.parser.feed_data
        self.answered = False

    def on_message_complete(self) -> None:
        self.answered = True


def send(target: Target, mails: int, in_flight: int) -> None:
    poll, head, body = select.epoll(), form.head(target.address), form.body
    lines = {}
    for _ in range(in_flight):
        line = _Line(target)
        lines[line.socket.fileno()] = line
        poll.register(line.socket, select.EPOLLIN)
    started = answered = 0
    for line in lines.values():
        if started < mails:
            line.send(head + body(started))
            started += 1
    while answered < mails:
        for descriptor, _event in poll.poll():
            line = lines[descriptor]
            # Always a whole request: it is smaller than an empty socket's buffer. A real sender keeps what is left.
            line.feed(line.receive(65536))
            if not line.answered:
                continue
            line.answered = False
            check(line.parser.get_status_code())
            answered += 1
            if started < mails:
                line.send(head + body(started))
                started += 1
    for line in lines.values():
        line.socket.close()
