"""What `make soak` goes by: a real Prometheus with our rules, that sees an alert, and says where it is blind."""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from benchmarks.soak.alerts import Prometheus, a_prometheus
from tests.support.system import wait_for

RULES = Path(__file__).parents[2] / "config/prometheus"


class Api(ThreadingHTTPServer):
    """Its metrics: whether senders hold."""

    held = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Metrics)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Metrics(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        shown = f"mailroom_figures_fresh 1\nmailroom_held {self.server.held}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(shown)))
        self.end_headers()
        self.wfile.write(shown)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Api]:
    server = Api()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def prometheus(api: Api, tmp_path: Path) -> Iterator[Prometheus]:
    if shutil.which("prometheus") is None and not os.environ.get("CI"):
        pytest.skip("no prometheus: apt-get install prometheus")
    with a_prometheus(tmp_path, {"api": [api.server_port]}, every_s=1) as running:
        yield running


def blind_spots(prometheus: Prometheus, since: float, **jobs: list[int]) -> list[str]:
    return prometheus.blind_spots(jobs, since=since, until=time.time())


def test_an_alert_that_fires_is_seen_and_none_without_its_cause(prometheus: Prometheus, api: Api) -> None:
    since = time.time()
    ports = [api.server_port]
    wait_for(lambda: not blind_spots(prometheus, since, api=ports), within_s=60, what="all is seen")
    quiet = prometheus.firing(since=since, until=time.time())

    api.held = 1

    fired = wait_for(lambda: prometheus.firing(since=since, until=time.time()), within_s=30, what="an alert fires")
    assert prometheus.evaluated() == sum(
        len(re.findall(r"^ +- alert:", path.read_text(), re.MULTILINE)) for path in RULES.glob("*.yml")
    )
    assert quiet == {}
    assert fired.keys() == {"MailroomHeld"}


def test_a_process_that_is_not_scraped_is_a_blind_spot(prometheus: Prometheus, api: Api) -> None:
    since = time.time()
    wait_for(lambda: not blind_spots(prometheus, since, api=[api.server_port]), within_s=60, what="the API is seen")

    found = blind_spots(prometheus, since, api=[api.server_port], web=[1])

    assert found == ["web at 1 was not scraped, 0 times of 0"]


def test_so_is_one_that_answers_no_more(prometheus: Prometheus, api: Api) -> None:
    since = time.time()
    wait_for(lambda: not blind_spots(prometheus, since, api=[api.server_port]), within_s=60, what="the API is seen")

    api.shutdown()
    api.server_close()

    wait_for(lambda: blind_spots(prometheus, since, api=[api.server_port]), within_s=30, what="it is not scraped")
