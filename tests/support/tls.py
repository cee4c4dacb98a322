"""Certificates of an authority of our own, and a way to a server through which everything is encrypted."""

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import trustme

_HANDSHAKE: Final = b"\x16"  # the first byte of TLS


@dataclass(frozen=True)
class Papers:
    """PEM files: the authority, and certificates of a server and a client, each with its key."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    client_alone: Path  # without its key
    stranger: Path  # of an authority that nobody trusts

    @classmethod
    def issued(cls, folder: Path) -> Self:
        ours, other = trustme.CA(), trustme.CA()
        server, client = ours.issue_cert("127.0.0.1", "localhost"), ours.issue_cert("mailroom.example.com")
        made = cls(*(folder / f"{name}.pem" for name in cls.__dataclass_fields__))
        ours.cert_pem.write_to_path(made.authority)
        other.cert_pem.write_to_path(made.stranger)
        server.private_key_and_cert_chain_pem.write_to_path(made.server)
        server.private_key_pem.write_to_path(made.server_key)
        client.private_key_and_cert_chain_pem.write_to_path(made.client)
        client.private_key_pem.write_to_path(made.client_key)
        client.cert_chain_pems[0].write_to_path(made.client_alone)
        return made


class TlsProxy:
    """Listens with TLS, asks every client for a certificate, and passes bytes on to a server that knows no TLS. The
    redis-server of the wheel is built without it. `plain_too`: also for whoever speaks no TLS, as Sentinels of the
    wheel do."""

    def __init__(self, target: int, papers: Papers, *, plain_too: bool = False) -> None:
        self._target, self._plain_too = target, plain_too
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(papers.server)
        self._context.load_verify_locations(papers.authority)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, self._opened(near) as opened:
            with socket.create_connection(("127.0.0.1", self._target)) as far:
                threading.Thread(target=_pass_on, args=(far, opened), daemon=True).start()
                _pass_on(opened, far)

    def _opened(self, near: socket.socket) -> socket.socket:
        if self._plain_too and near.recv(1, socket.MSG_PEEK) != _HANDSHAKE:
            return near
        return self._context.wrap_socket(near, server_side=True)


def _pass_on(source: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(64 * 1024):
            to.sendall(received)
    for each in (source, to):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
