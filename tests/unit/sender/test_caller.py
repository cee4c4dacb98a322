"""What the caller keeps of a call while it is under way."""

import socket
import weakref
from types import SimpleNamespace
from typing import Any

import pytest

from mailroom.domain.emails.model import Rank
from sender.caller import Caller, Job


class LargeRequest:
    """In place of a request with ten megabytes of attachments."""


class WritingConnection:
    """A connection that took its request over, and is still writing it."""

    writing, deadline = True, float("inf")

    def __init__(self, sock: socket.socket) -> None:
        self.fileno = sock.fileno

    def usable(self) -> bool:
        return True

    def begin(self, request: LargeRequest) -> None:
        assert isinstance(request, LargeRequest)

    def advance(self) -> None:
        return None


@pytest.fixture
def caller() -> Any:
    caller = Caller(most_calls=4, reserved=1, may_call=lambda: True, done=lambda _: None)
    yield caller
    caller.close()


def test_a_request_that_its_connection_took_over_is_in_memory_no_more(caller: Caller) -> None:
    ours, theirs = socket.socketpair()
    claimed: Any = SimpleNamespace(rank=Rank.NORMAL, id="d1")
    adapter: Any = SimpleNamespace(name="mailgun")
    request = LargeRequest()
    kept = weakref.ref(request)
    job = Job(claimed, adapter, request, WritingConnection(ours))
    del request
    caller.hand_in([job])

    caller.step()  # the fencer may still have the job while the call is made

    assert caller.has_work
    assert kept() is None
    ours.close()
    theirs.close()
