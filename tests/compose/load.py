"""Calls that go on while containers are killed, and their mails as the witness counts them.

Some callers give a key and repeat once; others give none and never repeat what may have been taken. Pages are read
too. A call that found nobody to connect to has said nothing: it goes again until somebody listens, key or not.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from urllib3.exceptions import MaxRetryError, NewConnectionError

from tests.compose.trying import API, PAGES, Client, a_mail

_WITH_KEY: Final = 4
_WITHOUT: Final = 2
_TIMEOUT_S: Final = (3.0, 60.0)  # to be let in, and for the answer
_PAUSE_S: Final = 1.0  # before a call goes again
_LISTENING_S: Final = 60.0  # somebody must listen by then
_loads = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Failed:
    """A call that was given up, from when until when it was under way, and what was told."""

    mark: str
    began: float
    ended: float
    told: str


@dataclass
class Load:
    client: Client
    name: str = field(default_factory=lambda: f"load-{next(_loads)}-")  # no two loads share a key
    promised: set[str] = field(default_factory=set)
    failed: list[Failed] = field(default_factory=list)  # in spite of being repeated
    failed_without_key: list[Failed] = field(default_factory=list)
    repeated: Counter[str] = field(default_factory=Counter)
    unconnected: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        callers = [
            *((self._hand_in, f"{self.name}{n}") for n in range(_WITH_KEY)),
            *((self._hand_in_without_key, f"{self.name}without-{n}") for n in range(_WITHOUT)),
            (self._read_page, f"{self.name}page"),
        ]
        self._threads = [threading.Thread(target=self._go_on, args=caller) for caller in callers]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(150)

    def _go_on(self, call: Callable[[requests.Session, str], None], caller: str) -> None:
        with self.client.session() as session:
            for number in itertools.count(1):
                if self._stop.wait(0.02):
                    return
                call(session, f"{caller}-{number}")

    def _hand_in(self, session: requests.Session, mark: str) -> None:
        url, body, key = f"{API}/v1/emails", a_mail(mark), {"Idempotency-Key": mark}
        if self._twice(mark, lambda: session.post(url, json=body, headers=key, timeout=_TIMEOUT_S)):
            self.promised.add(mark)

    def _read_page(self, session: requests.Session, mark: str) -> None:
        self._twice(mark, lambda: session.get(f"{PAGES}/sign-in", timeout=_TIMEOUT_S))

    def _twice(self, mark: str, call: Callable[[], requests.Response]) -> bool:
        """True for a 2xx, of the first call or of the one after it."""
        for last in (False, True):
            began = time.monotonic()
            if (told := self._told(call)).startswith("2"):
                return True
            if last:
                self.failed.append(Failed(mark, began, time.monotonic(), told))
            else:
                self.repeated[told] += 1
                time.sleep(_PAUSE_S)
        return False

    def _hand_in_without_key(self, session: requests.Session, mark: str) -> None:
        began = time.monotonic()
        told = self._told(lambda: session.post(f"{API}/v1/emails", json=a_mail(mark), timeout=_TIMEOUT_S))
        if told.startswith("2"):
            self.promised.add(mark)
        else:
            self.failed_without_key.append(Failed(mark, began, time.monotonic(), told))

    def _told(self, call: Callable[[], requests.Response]) -> str:
        """The status, or the kind of error once somebody listened."""
        deadline = time.monotonic() + _LISTENING_S
        while True:
            try:
                return str(call().status_code)
            except requests.RequestException as error:
                if not _said_nothing(error) or time.monotonic() > deadline:
                    return type(error).__name__
                self.unconnected += 1
                time.sleep(_PAUSE_S)


def _said_nothing(error: requests.RequestException) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(error, requests.exceptions.SSLError | requests.ConnectTimeout) or (
        isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)
    )


def under_load(client: Client, break_things: Callable[[], Any], *, within_s: float) -> dict[str, Any]:
    """The figures after `break_things` was done under load. It returns from when until when something was killed, by
    the monotonic clock, and figures of its own."""
    load = Load(client)
    load.start()
    try:
        time.sleep(3)
        (began, ended), figures = break_things()
        time.sleep(3)
    finally:
        load.end()
    in_hand = [one for one in load.failed_without_key if one.began <= ended and one.ended >= began]
    others = [one for one in load.failed_without_key if one not in in_hand]
    return {
        **figures,
        **_counted(client, load, within_s=within_s),
        "repeated once": dict(load.repeated),
        "found nobody listening": load.unconnected,
        "failed for good": [f"{one.mark}: {one.told}" for one in load.failed],
        "failed in its hands, without a key": [one.told for one in in_hand],
        "failed otherwise, without a key": [f"{one.told} after {one.ended - one.began:.1f} s" for one in others],
    }


def _counted(client: Client, load: Load, *, within_s: float) -> dict[str, Any]:
    """The promised mails as the witness counts them, once all are there or the time is over."""
    found: Counter[str] = Counter()
    began, after = time.monotonic(), 0
    while load.promised - found.keys() and time.monotonic() < began + within_s:
        for mail in client.simulator.mails(after=after):
            found[mail["subject"]] += 1
            after = mail["id"]
        time.sleep(1)
    return {
        "promised": len(load.promised),
        "lost": len(load.promised - found.keys()),
        "doubled": sum(count > 1 for mark, count in found.items() if mark.startswith(load.name)),
        "all there after s": round(time.monotonic() - began),
    }


def doubled(client: Client) -> list[str]:
    """The subjects of all mails that ever went out more than once."""
    return [mark for mark, count in Counter(mail["subject"] for mail in client.simulator.mails()).items() if count > 1]
