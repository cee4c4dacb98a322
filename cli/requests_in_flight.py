"""How many requests an application is answering at this moment."""

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class RequestsInFlight:
    """Around a WSGI application: counts the requests that are in it. Thread-safe."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._lock = threading.Lock()
        self._count = 0

    @property
    def count(self) -> int:
        return self._count

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        with self._lock:
            self._count += 1
        try:
            return self._application(environ, start_response)
        finally:
            with self._lock:
                self._count -= 1
