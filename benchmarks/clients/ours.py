"""The sender's own connection, `mailroom.providers.connection`, in a loop as `epoll` has: what its caution costs."""

import select

from benchmarks import form
from benchmarks.clients import Target, check
from mailroom.providers.connection import LiveConnection, Request


def send(target: Target, mails: int, in_flight: int) -> None:
    """As the sender does it: look whether the connection still lives, begin, advance."""
    poll, headers, connections = select.epoll(), form.headers(), {}
    for _ in range(in_flight):
        connection = LiveConnection(target.url, call_timeout_s=60, idle_limit_s=60)
        connection.open()
        connections[connection.fileno()] = connection
        poll.register(connection.fileno(), select.EPOLLIN)
    numbers = iter(range(mails))

    def begin(connection: LiveConnection) -> bool:
        number = next(numbers, None)
        if number is not None:
            assert connection.usable()
            connection.begin(Request(form.PATH, headers, form.body(number)))
        return number is not None

    def advance(connection: LiveConnection) -> int:
        """How many answers came. An answer may come within the very call that wrote the request: none is dropped."""
        came = 0
        while (reply := connection.advance()) is not None:
            check(reply.status)
            came += 1
            if not begin(connection):
                break
        return came

    answered = sum(advance(connection) for connection in connections.values() if begin(connection))
    while answered < mails:
        answered += sum(advance(connections[descriptor]) for descriptor, _event in poll.poll())
    for connection in connections.values():
        connection.close()
