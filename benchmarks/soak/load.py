"""Single mails, a campaign and page views: as fast as all is through with them, or at a steady pace."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Final

from benchmarks.soak.book import CAMPAIGN, Book
from tests.support.emails import an_email
from tests.support.forms import signed_in
from tests.support.system import System, a_schedule_body

_CALLERS: Final = 24
_VIEWERS: Final = 2
_MOST_WAITING: Final = 200  # mails that were promised and have not gone out, while the peak is measured
_MOST_UNTOLD: Final = 300  # webhooks, which are due a fifth of a second after their mail
RUN_EVERY_S: Final = 30
PAGES: Final = ("/", "/runs", "/emails", "/dispatches", "/providers", "/workers", "/people", "/sending")


@dataclass(frozen=True, slots=True)
class Pace:
    """How much is asked for. `mails_a_second` is None for as many as there can be."""

    mails_a_second: float | None
    recipients: int  # of the campaign, every half minute
    views_a_second: float


class Load:
    """From its making to `end`. A mail's or a page's time begins when it was due to be asked for, whether or not
    anybody was free to ask: who is late is late for the reader too."""

    def __init__(self, system: System, book: Book, pace: Pace) -> None:
        self._system, self._book, self._pace = system, book, pace
        self._ending = threading.Event()
        self._due_mails: SimpleQueue[float] = SimpleQueue()
        self._due_views: SimpleQueue[float] = SimpleQueue()
        self._campaign = _a_campaign(system, pace.recipients)
        self._threads = [threading.Thread(target=self._read, daemon=True)]
        self._threads += [threading.Thread(target=self._hand_in_mails, daemon=True) for _ in range(_CALLERS)]
        self._threads += [threading.Thread(target=self._view_pages, daemon=True) for _ in range(_VIEWERS)]
        self._threads.append(_every(1 / pace.views_a_second, self._due_views.put, self._ending))
        if pace.mails_a_second:
            self._threads.append(_every(1 / pace.mails_a_second, self._due_mails.put, self._ending))
        for thread in self._threads:
            thread.start()

    def behind(self) -> int:
        """How many mails are due and nobody has begun to hand in."""
        return self._due_mails.qsize()

    def end(self) -> None:
        """No more is asked for. What was promised still goes out."""
        self._system.call("POST", f"/v1/schedules/{self._campaign}/pause").raise_for_status()
        self._ending.set()
        for thread in self._threads:
            thread.join(60)

    def _read(self) -> None:
        while not self._ending.wait(0.5):
            self._book.read()

    def _hand_in_mails(self) -> None:
        headers = {"Authorization": f"Bearer {self._system.token}", "Content-Type": "application/json"}
        line = http.client.HTTPConnection("127.0.0.1", self._system.api_port, timeout=60)
        while (due_at := self._next_mail()) is not None:
            mark, reset = self._book.new_mark()
            mail = an_email(subject=mark, priority="high" if reset else "normal", html=f"<p>Hello, {mark}.</p>")
            try:
                line.request("POST", "/v1/emails", json.dumps(mail), {**headers, "Idempotency-Key": mark})
                answer = line.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                line.close()
                self._book.was_refused()
                continue
            if answer.status == 202:
                self._book.promised(mark, due_at=due_at, reset=reset)
            else:
                self._book.was_refused()

    def _next_mail(self) -> float | None:
        if self._pace.mails_a_second:
            return _next(self._due_mails, self._ending)
        while self._too_much() and not self._ending.is_set():
            time.sleep(0.01)
        return None if self._ending.is_set() else time.time()

    def _too_much(self) -> bool:
        return self._book.waiting() >= _MOST_WAITING or self._book.untold >= _MOST_UNTOLD

    def _view_pages(self) -> None:
        visitor, pages = (
            signed_in(self._system.web_url, self._system.token),
            itertools.cycle((*PAGES, f"/schedules/{self._campaign}")),
        )
        while (due_at := _next(self._due_views, self._ending)) is not None:
            page = visitor.get(f"{self._system.web_url}{next(pages)}", timeout=60, allow_redirects=False)
            if page.status_code == 200:
                self._book.viewed((time.time() - due_at) * 1000)
            else:
                self._book.was_refused()


def _every(seconds: float, due: Callable[[float], None], ending: threading.Event) -> threading.Thread:
    def run() -> None:
        at = time.time()
        while not ending.wait(max(0.0, at - time.time())):
            due(at)
            at += seconds

    return threading.Thread(target=run, daemon=True)


def _next(waiting: SimpleQueue[float], ending: threading.Event) -> float | None:
    """When the next one was due; None at the end."""
    while not ending.is_set():
        try:
            return waiting.get(timeout=0.2)
        except Empty:
            continue
    return None


def _a_campaign(system: System, recipients: int) -> str:
    first = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
    rule = {"kind": "every", "seconds": RUN_EVERY_S, "time_zone": "UTC", "starts_at": first.isoformat()}
    people = [
        {"address": f"reader-{number}@example.org", "name": f"Reader {number}", "variables": {"city": "Rome"}}
        for number in range(recipients)
    ]
    body = a_schedule_body(name=f"Soak {first:%H:%M:%S}", subject=CAMPAIGN, recipients=people, recurrence=rule)
    made = system.call("POST", "/v1/schedules", json=body)
    made.raise_for_status()
    return str(made.json()["id"])
