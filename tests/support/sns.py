"""Amazon SNS at the wire: signed messages, and its own host, reached by a proxy and trusted by a test's authority.

So that the certificate is fetched by the one true way: https, from the host that AWS has for it.
"""

import base64
import contextlib
import json
import socket
import ssl
import tempfile
import threading
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.x509.oid import NameOID

_HASHES: dict[str, Any] = {"1": hashes.SHA1(), "2": hashes.SHA256()}
_SIGNED = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


class Sns:
    """One topic in one region. `fetched` are the paths that were asked for at its host."""

    def __init__(self, region: str) -> None:
        self.host = f"sns.{region}.amazonaws.com"
        self.topic = f"arn:aws:sns:{region}:123456789012:mailroom"
        self.fetched: list[str] = []
        self._key = rsa.generate_private_key(65537, 2048)
        self.certificate = _self_signed(self._key)
        authority = trustme.CA()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(self.host).configure_cert(self._tls)
        self._folder = tempfile.TemporaryDirectory()
        self._trusted = Path(self._folder.name) / "authority.pem"
        authority.cert_pem.write_to_path(str(self._trusted))
        self._listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process reach this host, and no other, through the proxy."""
        return {
            "HTTPS_PROXY": f"http://127.0.0.1:{self._listening.getsockname()[1]}",
            "REQUESTS_CA_BUNDLE": str(self._trusted),
        }

    def stop(self) -> None:
        self._listening.close()
        self._folder.cleanup()

    def notification(self, event: dict[str, Any], *, version: str = "1", **changes: str) -> dict[str, str]:
        return self.signed({"Type": "Notification", "Message": json.dumps(event), **changes}, version=version)

    def confirmation(self, **changes: str) -> dict[str, str]:
        url = f"https://{self.host}/?Action=ConfirmSubscription&Token=t"
        said = {"Type": "SubscriptionConfirmation", "Message": "You have chosen", "Token": "t", "SubscribeURL": url}
        return self.signed(said | changes)

    def signed(self, said: dict[str, str], *, version: str = "1") -> dict[str, str]:
        whole = {
            "MessageId": str(uuid.uuid4()),
            "TopicArn": self.topic,
            "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "SignatureVersion": version,
            "SigningCertURL": f"https://{self.host}/SimpleNotificationService-{id(self):x}.pem",
        } | said
        words = "".join(f"{key}\n{whole[key]}\n" for key in _SIGNED if key in whole)
        signature = self._key.sign(words.encode(), PKCS1v15(), _HASHES[version])
        return whole | {"Signature": base64.b64encode(signature).decode()}

    @staticmethod
    def deliver(target: str, message: dict[str, str]) -> requests.Response:
        headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": message["Type"]}
        return requests.post(f"{target}/webhooks/ses", data=json.dumps(message), headers=headers, timeout=20)

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listening.accept()
                threading.Thread(target=self._answer, args=(one,), daemon=True).start()

    def _answer(self, one: socket.socket) -> None:
        """CONNECT, then TLS as the host that was asked for, then one page."""
        with contextlib.suppress(OSError), one:
            if not _head(one).startswith(f"CONNECT {self.host}:443 "):
                one.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
                return
            one.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with self._tls.wrap_socket(one, server_side=True) as inside:
                path = _head(inside).split()[1]
                self.fetched.append(path)
                said = self.certificate if path.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\nConnection: close\r\n\r\n"
                inside.sendall(head.encode() + said)


def _head(one: socket.socket) -> str:
    read = b""
    while b"\r\n\r\n" not in read and (more := one.recv(4096)):
        read += more
    return read.decode("latin-1")


def _self_signed(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
