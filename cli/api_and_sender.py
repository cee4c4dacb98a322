"""`mailroom api+sender`: both in one process, for one machine that is to carry little.

The API is served as ever, in a process of threads; the sender is one of them, made after the fork. SIGTERM lets
requests in hand be answered, then drains the sender.
"""

import os
import signal
import threading
from typing import Final

import structlog
from flask import Flask

from cli.serving import serve
from config.settings import Settings
from mailroom.assembly import build_api_services, prepare_database
from scheduler_api.app import create_app
from sender.process import run_sender

log = structlog.get_logger()
_BEYOND_A_CALL_S: Final = 30.0  # what is written down after the last call


class _Sending:
    """The sender in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        # The sender sets its own event too, when it cannot go on: that we asked is a matter of its own.
        self._settings, self._stop, self._asked = settings, threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="sender")

    def start(self) -> None:
        self._thread.start()

    def finish(self, *, within_s: float) -> None:
        self._asked = True
        self._stop.set()
        self._thread.join(within_s)
        if self._thread.is_alive():
            log.error("sender_not_drained", after_s=within_s)

    def _run(self) -> None:
        try:
            run_sender(self._settings, self._stop)
        finally:
            if not self._asked:
                log.error("sender_ended_by_itself")
                os.kill(os.getpid(), signal.SIGTERM)  # the process is made anew, with its sender


def run(settings: Settings) -> None:
    """Until a signal comes."""
    sending: list[_Sending] = []
    drain_s = settings.sending.call_timeout_s + _BEYOND_A_CALL_S

    def make() -> Flask:
        sending.append(_Sending(settings))
        sending[0].start()
        return create_app(build_api_services(settings, app="api+sender"))

    def end_sending() -> None:
        for one in sending:
            one.finish(within_s=drain_s)

    serve(
        make,
        settings.web,
        port=settings.web.api_port,
        before=lambda: prepare_database(settings),
        after=end_sending,
        grace_s=drain_s + _BEYOND_A_CALL_S,
    )
