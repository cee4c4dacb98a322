"""HAProxy itself, with our configuration: what it leads where, what it repeats, and what it keeps outside."""

import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.binaries import BinaryMissing
from tests.support.edge import RealEdge, an_edge
from tests.support.system import wait_for

HSTS = "Strict-Transport-Security"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealEdge]:
    try:
        with an_edge(tmp_path_factory.mktemp("edge"), request_s=2) as made:
            yield made
    except BinaryMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def edge(running: RealEdge) -> RealEdge:
    for stub in running.stubs.values():
        stub.seen.clear()
        stub.begun.clear()
        stub.silent = 0
    return running


@pytest.mark.parametrize(
    ("door", "path", "part"),
    [
        ("api", "/v1/emails", "api"),
        ("api", "/health", "api"),
        ("api", "/webhooks/mailgun?mark=1", "webhooks"),
        ("api", "/u/AbC-_", "webhooks"),
        ("api", "/c/AbC-_", "webhooks"),
        ("api", "/v1/subscribe", "webhooks"),
        ("api", "/v1/subscribers", "api"),
        ("web", "/v1/subscribe", "web"),
        ("api", "/usage", "api"),
        ("api", "/webhooksabc", "api"),
        ("web", "/", "web"),
        ("web", "/v1/emails", "web"),
        ("web", "/webhooks/mailgun", "web"),
    ],
)
def test_api_and_pages_have_a_door_each_and_webhooks_a_part(edge: RealEdge, door: str, path: str, part: str) -> None:
    answer = edge.ask("GET", path, door=door)

    assert json.loads(answer.read())["part"] == part
    assert answer.headers[HSTS] == "max-age=31536000"


@pytest.mark.parametrize(
    "path", ["/metrics", "/ready", "/metrics/", "//metrics", "/metrics?a=b", "/%6detrics", "/re%61dy%3Fx", "/Metrics"]
)
@pytest.mark.parametrize("door", ["api", "web"])
def test_what_is_for_our_own_network_is_not_there_however_it_is_spelled(edge: RealEdge, door: str, path: str) -> None:
    answer = edge.ask("GET", path, door=door)

    assert answer.status == 404
    assert answer.headers[HSTS]
    assert not edge.seen("api") + edge.seen("web")


def test_paths_that_only_begin_like_those_go_through(edge: RealEdge) -> None:
    assert edge.ask("GET", "/metrics/of/mine").status == edge.ask("GET", "/v1/ready").status == 200


def test_what_a_client_says_of_its_address_is_put_aside(edge: RealEdge) -> None:
    told = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Host": "evil", "Forwarded": "for=203.0.113.9"}

    edge.ask("GET", "/v1/emails", X_Forwarded_Proto="http", X_Real_IP="203.0.113.9", **told).read()

    ((_, _, headers, _),) = edge.seen()
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("127.0.0.1", "https")
    assert not {"forwarded", "x-real-ip", "x-forwarded-host"} & headers.keys()
    assert headers["host"] == f"localhost:{edge.ports['api']}"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1")
def test_http_2_is_offered_and_old_tls_is_not(edge: RealEdge) -> None:
    def agreed(context: ssl.SSLContext) -> str | None:
        with (
            socket.create_connection(("127.0.0.1", edge.ports["api"]), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as safe,
        ):
            return safe.selected_alpn_protocol()

    new, old = edge.context, edge.context
    new.set_alpn_protocols(["h2", "http/1.1"])
    old.set_ciphers("ALL:@SECLEVEL=0")  # as a client that would take it
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1

    assert agreed(new) == "h2"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        agreed(old)


@pytest.mark.parametrize(
    ("method", "headers", "status", "times"),
    [
        ("POST", {}, 502, 1),
        ("PUT", {}, 502, 1),
        ("POST", {"Idempotency_Key": "k"}, 200, 2),
        ("GET", {}, 200, 2),
    ],
)
def test_a_request_without_an_answer_is_repeated_only_where_that_does_nothing_twice(
    edge: RealEdge, method: str, headers: dict[str, str], status: int, times: int
) -> None:
    edge.stubs["api"].silent = 1

    answer = edge.ask(method, "/v1/emails", body=b'{"a": 1}' if method != "GET" else None, **headers)

    assert answer.status == status
    assert len(edge.seen()) == times
    assert len({body for *_, body in edge.seen()}) == 1
    assert answer.headers[HSTS]


@pytest.mark.parametrize(
    ("door", "path", "times"),
    [
        ("api", "/v1/schedules/sch_1/run-now", 2),
        ("api", "/emails/em_1/send-again?a=b", 2),
        ("api", "/v1/mail", 2),
        ("api", "/v1/schedules/sch_1/skip-next", 1),
        ("api", "/v1/tokens", 1),
        ("api", "/v1/tokens/t/rotate", 1),
        ("api", "/webhooks/postmark", 1),
        ("web", "/schedules", 1),
    ],
)
def test_a_key_repeats_a_request_only_where_it_keeps_it_from_being_done_twice(
    edge: RealEdge, door: str, path: str, times: int
) -> None:
    for stub in edge.stubs.values():
        stub.silent = 1

    answer = edge.ask("POST", path, door=door, body=b"{}", Idempotency_Key="k")

    assert answer.status == (200 if times == 2 else 502)
    assert sum(len(edge.seen(part)) for part in edge.stubs) == times


def test_a_lost_answer_is_reported_in_the_api_s_shape(edge: RealEdge) -> None:
    edge.stubs["api"].silent = 1

    answer = edge.ask("POST", "/v1/emails", body=b"{}")

    assert answer.headers["Content-Type"] == "application/problem+json"
    assert json.loads(answer.read())["code"] == "unavailable"


def test_a_lost_answer_of_a_later_request_on_a_connection_ends_the_connection(edge: RealEdge) -> None:
    connection = edge.connection()
    connection.request("POST", "/v1/emails", body=b"{}")
    connection.getresponse().read()
    edge.stubs["api"].silent = 1

    connection.request("POST", "/v1/emails", body=b"{}")

    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    assert len(edge.seen()) == 2


def test_a_request_reaches_a_process_only_when_it_is_whole(edge: RealEdge) -> None:
    slow = edge.connection()
    slow.putrequest("POST", "/slow")
    slow.putheader("Content-Length", "4")
    slow.endheaders(b"ab")

    assert edge.ask("GET", "/quick").status == 200
    assert edge.stubs["api"].begun == ["/quick"]
    slow.send(b"cd")
    assert slow.getresponse().status == 200
    assert edge.seen()[-1][3] == b"abcd"


@pytest.mark.parametrize("begun", [b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab", b"GET /slow HTTP"])
def test_a_request_that_stays_unfinished_ends_at_the_edge(edge: RealEdge, begun: bytes) -> None:
    with (
        socket.create_connection(("127.0.0.1", edge.ports["api"]), timeout=15) as raw,
        edge.context.wrap_socket(raw, server_hostname="localhost") as safe,
    ):
        safe.sendall(begun)
        said = safe.recv(4096)

    assert said.startswith(b"HTTP/1.1 408 ")
    assert not edge.seen()


def test_a_body_beyond_the_buffer_goes_through_whole(edge: RealEdge) -> None:
    body = os.urandom(3_000_000)

    assert edge.ask("POST", "/v1/audiences", body=body).status == 200
    assert edge.seen()[-1][3] == body


def test_what_is_watched_has_a_door_of_its_own(edge: RealEdge) -> None:
    assert edge.healthy()
    assert 'haproxy_backend_active_servers{proxy="api"} 1' in edge.figures()


def test_a_part_that_is_away_is_left_out(tmp_path: Path) -> None:
    try:
        with an_edge(tmp_path) as edge:
            edge.stubs["webhooks"].close()
            gone = 'haproxy_backend_active_servers{proxy="webhooks"} 0'
            wait_for(lambda: gone in edge.figures(), within_s=20, what="the part is left out")
            without_webhooks = json.loads(edge.ask("POST", "/webhooks/mailgun", body=b"{}").read())["part"]
            edge.stubs["api"].close()
            wait_for(lambda: not edge.healthy(), within_s=20, what="the edge says that the API is away")
            without_api = edge.ask("GET", "/v1/emails")
            pages = edge.ask("GET", "/", door="web")

            assert without_webhooks == "api"
            assert (without_api.status, without_api.headers["Retry-After"]) == (503, "5")
            assert without_api.headers["Content-Type"] == "application/problem+json"
            assert pages.status == 200
    except BinaryMissing as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
