"""The server itself, over real sockets: unfinished requests stop nobody, and what is none is told in our shape."""

import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from cli.worker import ANSWERS_S
from local.servers import Servers
from tests.support.emails import an_email
from tests.support.system import System, a_system, peak_memory_mb, wait_for

MB = 1_000_000


@pytest.fixture(scope="module")
def served(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """API and pages, for all tests of this module."""
    with a_system(tmp_path_factory.mktemp("server"), servers, database="test_server") as system:
        system.start_api(webhooks=False)
        system.start_web()
        yield system


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def asked(port: int, raw: bytes) -> requests.Response:
    """The answer to these bytes, as they stand."""
    with connected(port) as sock:
        sock.sendall(raw)
        return answer_from(sock)


def answer_from(sock: socket.socket, *, came: bytes = b"") -> Any:
    """`came`: its bytes that were read before."""
    while b"\r\n\r\n" not in came:
        came += _more(sock)
    head, _, body = came.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    answer = requests.Response()
    answer.status_code = int(lines[0].split()[1])
    answer.headers.update(line.split(": ", 1) for line in lines[1:])
    while len(body) < int(answer.headers.get("Content-Length", 0)):
        body += _more(sock)
    answer._content = body
    return answer


def _more(sock: socket.socket) -> bytes:
    data = sock.recv(65_536)
    assert data, "the server closed without an answer"
    return data


def signed(system: System, **headers: str) -> str:
    told = {"Host": "x", "Authorization": f"Bearer {system.token}", "Content-Type": "application/json", **headers}
    return "".join(f"{name}: {value}\r\n" for name, value in told.items())


def test_unfinished_requests_stop_nobody_and_are_ended(served: System) -> None:
    heads = [
        b"POST /v1/emails HTTP/1.1\r\nHost: x\r\nContent-Le",
        b"POST /webhooks/mailgun HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n{",
        f"POST /v1/emails HTTP/1.1\r\n{signed(served)}Transfer-Encoding: chunked\r\n\r\n5\r\n{{".encode(),
        f"POST /v1/emails HTTP/1.1\r\n{signed(served)}Content-Length: 9000000\r\n\r\n{{".encode(),
        b"",
    ]
    began = time.monotonic()
    half = [(connected(port), head) for _ in range(40) for port in (served.api_port, served.web_port) for head in heads]
    for sock, head in half:
        sock.sendall(head)

    spent = []
    for _ in range(20):
        at = time.monotonic()
        assert served.call("POST", "/v1/emails", json=an_email()).status_code == 202
        assert requests.get(f"{served.web_url}/sign-in", timeout=10).status_code == 200
        assert requests.post(f"{served.api_url}/webhooks/mailgun", json={}, timeout=10).status_code == 406
        spent.append(time.monotonic() - at)

    assert sorted(spent)[18] < 3
    ended = {answer_from(sock).status_code for sock, head in half[:5] if head}
    assert ended == {408}
    assert time.monotonic() - began < 60
    for sock, _ in half:
        sock.close()


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET /v1/emails HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "path_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "not_supported"),
        (b"PUT /v1/emails HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
        (b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found"),
        (b"GET /v1/%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n", 404, "not_found"),
        (b"POST /v1/emails HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n", 401, "access_refused"),
    ],
)
def test_what_the_server_refuses_is_a_problem_and_a_page(served: System, raw: bytes, status: int, code: str) -> None:
    problem, page = asked(served.api_port, raw), asked(served.web_port, raw)

    assert (problem.status_code, problem.json()["code"]) == (status, code)
    assert problem.headers["Content-Type"] == "application/problem+json"
    assert problem.json()["request_id"] == problem.headers["X-Request-Id"]
    assert page.headers["Content-Type"].startswith("text/html")
    assert "Traceback" not in page.text


def test_a_body_is_held_to_the_same_whatever_its_framing(served: System) -> None:
    for body in (b'{"subject": "\\ud800"}', b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 60_000):
        pieces = [body[at : at + 50] for at in range(0, len(body), 50)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        for path in ("/v1/emails", "/v1/emails/batch", "/v1/schedules", "/v1/mail", "/v1/schedules/preview"):
            head = f"POST {path} HTTP/1.1\r\n{signed(served)}".encode()
            plain = asked(served.api_port, head + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            chunked = asked(served.api_port, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
            assert (plain.status_code, chunked.status_code) == (400, 400), (path, body[:30])
    good = json.dumps(an_email()).encode()
    head = f"POST /v1/emails HTTP/1.1\r\n{signed(served)}Transfer-Encoding: chunked\r\n\r\n".encode()
    assert asked(served.api_port, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(good), good)).status_code == 202


def test_two_keys_in_one_request_are_refused(served: System) -> None:
    body = json.dumps(an_email()).encode()
    head = f"POST /v1/emails HTTP/1.1\r\n{signed(served)}Content-Length: {len(body)}\r\n"
    twice = asked(served.api_port, f"{head}Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n".encode() + body)
    with_comma = asked(served.api_port, f"{head}Idempotency-Key: a,b\r\n\r\n".encode() + body)

    assert (twice.status_code, twice.json()["errors"][0]["path"]) == (422, "Idempotency-Key")
    assert with_comma.status_code == 202


def test_a_connection_carries_one_request_after_another(served: System) -> None:
    get = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    with connected(served.api_port) as sock:
        sock.sendall(get)
        assert answer_from(sock).json() == {"health": "ok"}
        sock.sendall(get * 3)
        time.sleep(1)
        assert sock.recv(100_000).count(b'{"health":"ok"}') == 3
        sock.sendall(b"HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        rest = b"".join(iter(lambda: sock.recv(65_536), b""))
    assert rest.startswith(b"HTTP/1.1 200")
    assert rest.endswith(b"\r\n\r\n")


def test_a_client_that_waits_for_100_continue_gets_it(served: System) -> None:
    body = json.dumps(an_email(text="x" * 200_000)).encode()
    with connected(served.api_port) as sock:
        told = signed(served, **{"Content-Length": str(len(body)), "Expect": "100-continue"})
        head = f"POST /v1/emails HTTP/1.1\r\n{told}\r\n"
        sock.sendall(head.encode())
        assert sock.recv(100).startswith(b"HTTP/1.1 100 Continue")
        sock.sendall(body)
        assert answer_from(sock).status_code == 202
    unknown = head.replace(served.token, "mr_nobody").encode()
    assert asked(served.api_port, unknown).status_code == 401


def test_a_form_of_32_mb_costs_neither_time_nor_memory(served: System) -> None:
    web = next(child for child in served.children if child.name == "web")
    worker = web.process.pid
    children = [int(pid) for pid in Path(f"/proc/{worker}/task/{worker}/children").read_text().split()]
    before = max(peak_memory_mb(pid) for pid in children)
    form = b"a&" * (16 * MB)

    began = time.monotonic()
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"):
        headers = {"Content-Type": kind}
        answer = requests.post(f"{served.web_url}/sign-in", data=form, headers=headers, timeout=30)
        assert answer.status_code in (400, 413), kind
        assert "<html" in answer.text

    assert time.monotonic() - began < 10
    assert max(peak_memory_mb(pid) for pid in children) - before < 40


def test_a_large_body_of_nobody_is_not_read(served: System) -> None:
    answer = requests.post(f"{served.api_url}/v1/emails/batch", data=b"x" * (50 * MB), timeout=30)

    assert answer.status_code == 401


def test_who_does_not_read_an_answer_stops_nobody(served: System) -> None:
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n"
    slow = []
    for _ in range(80):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        sock.settimeout(30)
        sock.connect(("127.0.0.1", served.api_port))
        sock.sendall(ask * 20)
        slow.append(sock)

    assert requests.get(f"{served.api_url}/health", timeout=20).status_code == 200
    for sock in slow:
        sock.close()


def test_who_was_let_in_before_the_end_is_answered(served: System) -> None:
    """More of them than the server takes at one time: they wait with the kernel while it is frozen."""
    master = served.start_webhooks_in().process
    (worker,) = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
    os.kill(int(worker), signal.SIGSTOP)
    waiting = [connected(served.webhooks_port) for _ in range(300)]
    for sock in waiting:
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")

    master.terminate()
    wait_for(lambda: has_pending(int(worker), signal.SIGTERM), within_s=20, what="the worker is told to end")
    os.kill(int(worker), signal.SIGCONT)

    assert {answer_from(sock).status_code for sock in waiting} == {200}
    assert master.wait(30) == 0


def test_a_slow_upload_does_not_keep_a_process_from_ending_in_order(served: System) -> None:
    """What it still has to write is written: it leaves the workers."""
    intake = served.start_webhooks_in()
    wait_for(lambda: "webhooks-in" in kinds_at_work(served), within_s=20, what="it has checked in")
    slow = connected(served.webhooks_port)
    slow.sendall(b"POST /webhooks/mailgun HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n")

    intake.process.terminate()
    wait_for(lambda: sent_on(slow) and not intake.alive(), within_s=40, what="it ends while more of the body comes")

    assert "webhooks-in" not in kinds_at_work(served)


def test_a_process_does_not_wait_for_who_has_taken_an_answer_and_stays_connected(system: System) -> None:
    """The answer was begun before the stop, and promised that another request would be taken."""
    api = system.start_api(webhooks=False)
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    slow.settimeout(30)
    slow.connect(("127.0.0.1", system.api_port))
    slow.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    began_to_come = slow.recv(1)

    began = time.monotonic()
    api.process.terminate()
    wait_for(lambda: is_refused(system.api_port), within_s=20, what="it ends")
    answer = answer_from(slow, came=began_to_come)
    api.process.wait(40)

    assert answer.headers.get("Connection") != "close"
    assert time.monotonic() - began < ANSWERS_S - 2


def is_refused(port: int) -> bool:
    with contextlib.suppress(ConnectionRefusedError), connected(port):
        return False
    return True


def sent_on(sock: socket.socket) -> bool:
    """A little more, fast enough to be waited for. True, also once the other side has closed."""
    with contextlib.suppress(OSError):
        sock.send(b"x" * 2_000)
    return True


def kinds_at_work(system: System) -> set[str]:
    return {worker["kind"] for worker in system.call("GET", "/v1/workers").json()["items"]}


def has_pending(pid: int, number: int) -> bool:
    """True if the process will see this signal when it goes on."""
    pending = re.search(r"^ShdPnd:\s+(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert pending
    return bool(int(pending[1], 16) >> (number - 1) & 1)
