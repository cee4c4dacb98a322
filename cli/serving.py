"""Serve a Flask application with gunicorn and our worker: one process of threads, ended gracefully by SIGTERM."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from flask import Flask, abort, request
from gunicorn.app.base import BaseApplication

from cli.environ import REFUSED
from cli.worker import ANSWERS_S, ReadingWorker
from config.settings import Web
from local.children import die_with_parent

_THREADS: Final = 64
ENDING_S: Final = 8.0


class _GunicornServer(BaseApplication):
    def __init__(
        self,
        make: Callable[[], Flask],
        web: Web,
        port: int,
        before: Callable[[], Any] | None,
        after: Callable[[], Any] | None,
        ending_s: float,
    ) -> None:
        self._make, self._host, self._port = make, web.bind, port
        self._before, self._after, self._ending_s = before, after, ending_s
        self._at_end: Sequence[Callable[[], None]] = ()
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self._host}:{self._port}",
            "workers": 1,
            "worker_class": ReadingWorker,
            "threads": _THREADS,
            "timeout": 120,
            # After this gunicorn kills the worker, wherever it stands.
            "graceful_timeout": int(ANSWERS_S + self._ending_s),
            "loglevel": "warning",
            # Its file lies in the home, the same for all our servers, which can be ended with it.
            "control_socket_disable": True,
            # gunicorn's worker would notice a killed master only a second later, and hold the port until then.
            "post_fork": lambda _server, _worker: die_with_parent(),
            "worker_exit": lambda _server, _worker: self._end(),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        # In the worker, after the fork: clients have threads of their own.
        if self._before:
            self._before()
        app = self._make()
        app.before_request(_refuse_as_the_server)
        self._at_end = app.extensions.get("at_end", ())
        return app

    def _end(self) -> None:
        """All requests in hand are answered."""
        for end in self._at_end:
            end()
        if self._after:
            self._after()


def _refuse_as_the_server() -> None:
    """Refuse what the server could not read as a request, in the application's shape: problem details, or a page."""
    if refused := request.environ.get(REFUSED):
        status, words = refused
        abort(status, description=words)


def serve(
    make: Callable[[], Flask],
    web: Web,
    *,
    port: int,
    before: Callable[[], Any] | None = None,
    after: Callable[[], Any] | None = None,
    ending_s: float = ENDING_S,
) -> None:
    """Until a signal comes. `before` runs once per worker, before the application is made. At the signal, requests in
    hand have twelve seconds; who is slower is cut off. Then what the application's extension `at_end` lists and `after`
    have `ending_s` together."""
    _GunicornServer(make, web, port, before, after, ending_s).run()
