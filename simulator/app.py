"""The simulator as one process: gunicorn with one worker of many threads, because its faults need the real socket."""

import ctypes
import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from flask import Flask
from gunicorn.app.base import BaseApplication

from simulator.api import HOOK_TYPES, api
from simulator.behaviour import Behaviour
from simulator.control import control
from simulator.feeds import PlayedFeeds, feeds
from simulator.hosts import refuse_foreign_hosts
from simulator.inbox import inbox
from simulator.store import Store
from simulator.suppressions import suppressions
from simulator.webhooks import WebhookSender
from simulator.world import World

_THREADS: Final = 64
_PR_SET_PDEATHSIG: Final = 1
_MAX_REQUEST: Final = 55_000_000  # bytes: Mailgun's 52.4 MiB


def create_app(
    *,
    folder: Path,
    domain: str,
    api_key: str,
    signing_key: str,
    names: Collection[str] = (),
    webhooks: str = "",
    set_idle_limit: Any = lambda seconds: None,
) -> Flask:
    """The WSGI application over a data folder, which answers to these names too; its webhook threads start with it.
    `webhooks`: a URL that is a target of every kind of event."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = _MAX_REQUEST
    app.config["MAX_FORM_MEMORY_SIZE"] = _MAX_REQUEST
    app.config["MAX_FORM_PARTS"] = 5_000
    store, behaviour = Store(folder / "simulator.sqlite"), Behaviour()
    if webhooks:
        store.add_target(webhooks, HOOK_TYPES)
    sender = WebhookSender(store, behaviour, signing_key)
    app.extensions["world"] = World(domain, api_key, store, behaviour, sender, set_idle_limit)
    refuse_foreign_hosts(app, names)
    app.register_blueprint(control)
    app.extensions["feeds"] = PlayedFeeds()
    app.register_blueprint(feeds)
    app.register_blueprint(inbox)
    app.register_blueprint(suppressions)
    app.register_blueprint(api)
    sender.start()
    return app


def _die_with_parent() -> None:
    """Let the kernel end the worker with its master: it would hold the port for a second, and answer."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class _Server(BaseApplication):
    def __init__(self, host: str, port: int, **world: Any) -> None:
        self._bind, self._world = f"{host}:{port}", world
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": self._bind,
            "workers": 1,
            "worker_class": "gthread",
            "threads": _THREADS,
            "keepalive": 600,
            "timeout": 0,
            "graceful_timeout": 2,
            "loglevel": "warning",
            "control_socket_disable": True,  # a file in the home of whoever runs us
            "post_fork": lambda _server, _worker: _die_with_parent(),
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        return create_app(set_idle_limit=lambda s: self.cfg.set("keepalive", max(1, int(s))), **self._world)


def run(*, host: str, port: int, names: Collection[str] = (), **world: Any) -> None:
    """Serve until a signal comes. `world`: as for `create_app`."""
    os.environ.pop("GUNICORN_CMD_ARGS", None)
    _Server(host, port, names=(host, *names), **world).run()
