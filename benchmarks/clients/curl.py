"""libcurl's multi interface in one thread: `perform` over all handles, or told by epoll which sockets are ready."""

import select
import time
from collections.abc import Callable

import pycurl

from benchmarks import form
from benchmarks.clients import Target, check


class _Handles:
    """As many easy handles as calls in flight, each posting the next mail once its last is answered."""

    def __init__(self, target: Target, mails: int, in_flight: int) -> None:
        self.multi, self._mails, self._next, self.answered = pycurl.CurlMulti(), mails, 0, 0
        self._handles = [_handle(target) for _ in range(in_flight)]  # the multi handle does not keep them alive
        self.waiting = list(self._handles)

    def start_waiting(self) -> None:
        while self.waiting and self._next < self._mails:
            handle = self.waiting.pop()
            handle.setopt(pycurl.POSTFIELDS, form.body(self._next))
            self._next += 1
            self.multi.add_handle(handle)

    def collect(self) -> None:
        left = 1
        while left:
            left, good, bad = self.multi.info_read()
            assert not bad, bad
            for handle in good:
                check(handle.getinfo(pycurl.RESPONSE_CODE))
                self.multi.remove_handle(handle)
                self.waiting.append(handle)
                self.answered += 1


def with_perform(target: Target, mails: int, in_flight: int) -> None:
    handles = _Handles(target, mails, in_flight)
    while handles.answered < mails:
        handles.start_waiting()
        handles.multi.perform()
        handles.collect()
        if not handles.waiting:
            handles.multi.select(1.0)


def with_epoll(target: Target, mails: int, in_flight: int) -> None:
    handles, poll, alarm = _Handles(target, mails, in_flight), select.epoll(), _Alarm()
    multi = handles.multi
    multi.setopt(pycurl.M_SOCKETFUNCTION, _registering(poll))
    multi.setopt(pycurl.M_TIMERFUNCTION, alarm.set)
    while handles.answered < mails:
        handles.start_waiting()
        for descriptor, event in poll.poll(alarm.left_s()):
            multi.socket_action(descriptor, _CURL[event & (select.EPOLLIN | select.EPOLLOUT)])
        if alarm.rings():
            multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
        handles.collect()


class _Alarm:
    """When libcurl wants to be called without a socket's event: a new handle starts by nothing else."""

    def __init__(self) -> None:
        self._at: float | None = None

    def set(self, timeout_ms: int) -> None:
        self._at = None if timeout_ms < 0 else time.monotonic() + timeout_ms / 1000

    def left_s(self) -> float:
        return -1 if self._at is None else max(0.0, self._at - time.monotonic())

    def rings(self) -> bool:
        if self._at is None or time.monotonic() < self._at:
            return False
        self._at = None
        return True


_EPOLL = {
    pycurl.POLL_IN: select.EPOLLIN,
    pycurl.POLL_OUT: select.EPOLLOUT,
    pycurl.POLL_INOUT: select.EPOLLIN | select.EPOLLOUT,
}
_CURL = {
    0: pycurl.CSELECT_ERR,
    select.EPOLLIN: pycurl.CSELECT_IN,
    select.EPOLLOUT: pycurl.CSELECT_OUT,
    select.EPOLLIN | select.EPOLLOUT: pycurl.CSELECT_IN | pycurl.CSELECT_OUT,
}


def _registering(poll: select.epoll) -> Callable[..., None]:
    """What libcurl calls when it wants to hear of a socket, or no more."""
    known: set[int] = set()

    def heed(wish: int, descriptor: int, _multi: object, _data: object) -> None:
        if wish == pycurl.POLL_REMOVE:
            if descriptor in known:
                known.discard(descriptor)
                poll.unregister(descriptor)
        elif descriptor in known:
            poll.modify(descriptor, _EPOLL[wish])
        else:
            known.add(descriptor)
            poll.register(descriptor, _EPOLL[wish])

    return heed


def _handle(target: Target) -> pycurl.Curl:
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, target.url + form.PATH)
    handle.setopt(pycurl.POST, 1)
    # `Expect:` keeps libcurl from asking before a large body; a second lost where the server does not answer that.
    handle.setopt(pycurl.HTTPHEADER, [*(f"{name}: {value}" for name, value in form.headers().items()), "Expect:"])
    handle.setopt(pycurl.WRITEFUNCTION, lambda data: len(data))
    handle.setopt(pycurl.NOSIGNAL, 1)
    return handle
