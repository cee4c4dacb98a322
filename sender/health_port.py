"""A sender's own `/health` and `/ready` for a process supervisor, and its `/metrics` for Prometheus, on the port that
the settings name."""

import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import orjson
import structlog

from mailroom.watching.exposition import CONTENT_TYPE, SENDER, exposed

log = structlog.get_logger()
_MOST_AT_ONCE: Final = 16
_SLOWEST_S: Final = 5.0  # a client that is silent for so long is disconnected


class HealthPort:
    """Does nothing without a port. If the port is in use, this is logged, and the sender sends all the same."""

    def __init__(self, bind: str, port: int | None, why_not_ready: Callable[[], str]) -> None:
        self._bind, self._port, self._why_not_ready = bind, port, why_not_ready
        self._server: _HealthServer | None = None

    def open(self) -> None:
        if self._port is None:
            return
        try:
            self._server = _HealthServer((self._bind, self._port), self._why_not_ready)
        except OSError as error:
            log.error("sender_port_not_opened", port=self._port, error=str(error))
            return
        threading.Thread(target=self._server.serve_forever, name="health-port", daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


_Request = socket.socket | tuple[bytes, socket.socket]


class _HealthServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], why_not_ready: Callable[[], str]) -> None:
        self.why_not_ready = why_not_ready
        self._room = threading.BoundedSemaphore(_MOST_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: _Request, client_address: object) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: _Request, client_address: object) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()


class _Handler(BaseHTTPRequestHandler):
    timeout = _SLOWEST_S
    server: _HealthServer

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/health":
                self._answer(200, health="ok")
            case "/ready":
                why = self.server.why_not_ready()
                self._answer(503, ready=False, reason=why) if why else self._answer(200, ready=True)
            case "/metrics":
                self._send(200, exposed(SENDER), CONTENT_TYPE)
            case _:
                self._answer(404, detail="there is /health, /ready and /metrics")

    def _answer(self, status: int, **body: object) -> None:
        self._send(status, orjson.dumps(body), "application/json")

    def _send(self, status: int, content: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing: a probe would cause a line a second."""
