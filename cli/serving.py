"""Serve a Flask application with gunicorn: one process of threads, ended gracefully by SIGTERM."""

from collections.abc import Callable
from typing import Any, Final

from flask import Flask
from gunicorn.app.base import BaseApplication

from config.settings import Web
from local.children import die_with_parent

_THREADS: Final = 32


class _Server(BaseApplication):
    def __init__(self, make: Callable[[], Flask], web: Web, port: int, before: Callable[[], Any] | None) -> None:
        self._make, self._host, self._port, self._before = make, web.bind, port, before
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self._host}:{self._port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": _THREADS,
            "keepalive": 75,
            "timeout": 120,
            "graceful_timeout": 20,
            "loglevel": "warning",
            # gunicorn's worker would notice a killed master only a second later, and hold the port until then.
            "post_fork": lambda _server, _worker: die_with_parent(),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        # In the worker, after the fork: clients have threads of their own.
        if self._before:
            self._before()
        return self._make()


def serve(make: Callable[[], Flask], web: Web, *, port: int, before: Callable[[], Any] | None = None) -> None:
    """Until a signal comes. `before` runs once per worker, before the application is made."""
    _Server(make, web, port, before).run()
