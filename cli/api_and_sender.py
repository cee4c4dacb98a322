"""`mailroom api+sender`: both in one process, for a machine with little mail.

The API is served as ever, in a process of threads; the sender is one of them, made after the fork. SIGTERM lets
requests in hand be answered, then drains the sender. Both check in, each under a name of its own.
"""

import os
import signal
import threading
from typing import Final

import structlog
from flask import Flask

from cli.checked_in import check_in, leave
from cli.serving import ENDING_S, serve
from config.settings import Settings
from mailroom.assembly.api import build_api_services
from mailroom.assembly.database import prepare_database, require_readable_database
from mailroom.domain.workers import WorkerKind
from mailroom.services.operations.check_ins import CheckIns
from mailroom.watching import traces
from mailroom.watching.exposition import SENDER
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
    """Until a signal comes. Raises DatabaseTooNew."""
    require_readable_database(settings)
    sending: list[_Sending] = []
    here: list[CheckIns] = []
    drain_s = settings.sending.call_timeout_s + _BEYOND_A_CALL_S

    def make() -> Flask:
        traces.start(settings.traces.url, share=settings.traces.share, part="api+sender")
        sending.append(_Sending(settings))
        sending[0].start()
        services = build_api_services(settings, app="api+sender")
        app = create_app(services, beside=[SENDER])
        here.append(check_in(app, services.db, WorkerKind.API))
        return app

    def end() -> None:
        leave(here)
        for one in sending:
            one.finish(within_s=drain_s)
        traces.stop()

    serve(
        make,
        settings.web,
        port=settings.web.api_port,
        before=lambda: prepare_database(settings),
        after=end,
        ending_s=drain_s + ENDING_S,
    )
