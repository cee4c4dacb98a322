"""A real HAProxy before small servers that note what reaches them, and answer or do not."""

import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from config.certificates import self_signed
from config.edge import Edge, EdgePart, haproxy_config
from local.binaries import HAPROXY, find
from local.children import Child
from local.ports import free_port

PARTS: Final = ("api", "web", "webhooks")


class PartStub:
    """Stands for the process of one part: notes each request, and tells what it saw."""

    def __init__(self, name: str) -> None:
        self.name, self.silent = name, 0  # so many requests are read, and their connections closed without an answer
        self.begun: list[str] = []  # the paths of all requests whose heads have come
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def handle_one(self) -> None:
                if self.path != "/health":
                    stub.begun.append(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.path != "/health":
                    stub.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                    if stub.silent:
                        stub.silent -= 1
                        self.close_connection = True
                        return
                told = json.dumps({"part": stub.name, "headers": dict(self.headers)}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            do_GET = do_POST = do_PUT = handle_one

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class RealEdge:
    """The running HAProxy, and what stands behind it."""

    def __init__(self, folder: Path, stubs: dict[str, PartStub], *, request_s: int) -> None:
        self.stubs = stubs
        self.ports = {"api": free_port(), "web": free_port()}
        self.status_port = free_port()
        self.certificate = folder / "edge.pem"
        self.certificate.write_text(self_signed(["localhost", "127.0.0.1"], now=datetime.now(UTC)))
        parts = {name: EdgePart(name, "127.0.0.1", stub.port) for name, stub in stubs.items()}
        told = Edge(
            bind="127.0.0.1",
            api_port=self.ports["api"],
            web_port=self.ports["web"],
            status_port=self.status_port,
            certificate=self.certificate,
            request_s=request_s,
            **parts,
        )
        config = folder / "haproxy.cfg"
        config.write_text(haproxy_config(told))
        self.child = Child("haproxy", [str(find(HAPROXY)), "-db", "-f", str(config)], log=folder / "haproxy.log")

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def figures(self) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=5)
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()

    def connection(self, door: str = "api") -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.ports[door], timeout=15, context=self.context)

    def ask(
        self, method: str, path: str, *, door: str = "api", body: bytes | None = None, **headers: str
    ) -> http.client.HTTPResponse:
        """The answer, whose text is still to be read."""
        connection = self.connection(door)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers=named)
        return connection.getresponse()

    def seen(self, part: str = "api") -> list[tuple[str, str, dict[str, str], bytes]]:
        return self.stubs[part].seen


@contextmanager
def an_edge(folder: Path, *, request_s: int = 10) -> Iterator[RealEdge]:
    """An edge that works. Raises BinaryMissing."""
    find(HAPROXY)
    with ExitStack() as stack:
        stubs = {name: PartStub(name) for name in PARTS}
        for stub in stubs.values():
            stack.callback(stub.close)
        edge = RealEdge(folder, stubs, request_s=request_s)
        stack.callback(edge.child.kill)
        edge.child.wait_until(edge.healthy, timeout_s=20)
        yield edge
