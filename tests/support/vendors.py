"""SendGrid and Amazon SES at the wire: HTTP servers that accept and refuse as their documents say, keep what they
accepted, misbehave on request, and tell it by signed webhooks.
"""

import base64
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.sns import Sns


@dataclass(frozen=True)
class Kept:
    """A mail that was accepted."""

    recipients: list[str]
    subject: str
    text: str
    ids: Mapping[str, str]  # what came along of ours
    headers: str  # all that a reader could see of them


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Vendor:
    """What both have in common."""

    kept: list[Kept] = field(default_factory=list)
    refusals: list[Answer] = field(default_factory=list)  # the next answers, of calls that are not accepted
    lose_answers: int = 0  # calls that are accepted, and whose connection then breaks
    latency_s: float = 0.0
    refused_addresses: set[str] = field(default_factory=lambda: {"refused@example.org"})
    path: ClassVar[str] = ""

    def accept(self, headers: Mapping[str, str], body: bytes) -> Answer:
        raise NotImplementedError

    def __post_init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def heal(self) -> None:
        """No faults from here on."""
        self.lose_answers, self.refusals, self.latency_s = 0, [], 0.0

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    close = stop


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Callers that die in the middle are what the tests are about."""


def _handler(vendor: Vendor) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, said = self._answer(body)
            time.sleep(vendor.latency_s)
            if vendor.lose_answers and status in (200, 202):
                vendor.lose_answers -= 1
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def _answer(self, body: bytes) -> Answer:
            if self.path != vendor.path:
                return 404, {}, b"no such path"
            return vendor.refusals.pop(0) if vendor.refusals else vendor.accept(dict(self.headers.items()), body)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


class SendGrid(Vendor):
    name = "sendgrid"
    path = "/v3/mail/send"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def settings(self) -> dict[str, str]:
        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            "SENDGRID_BASE_URL": self.url,
            "SENDGRID_API_KEY": "SG.tests",
            "SENDGRID_VERIFICATION_KEY": base64.b64encode(der).decode(),
        }

    def accept(self, headers: Mapping[str, str], body: bytes) -> Answer:
        if headers.get("Authorization") != "Bearer SG.tests":
            return self.no(401, "authorization required")
        asked = json.loads(body)
        for number, personal in enumerate(asked["personalizations"]):
            addresses = [one["email"] for place in ("to", "cc", "bcc") for one in personal.get(place, [])]
            if not personal.get("to") or len(set(addresses)) != len(addresses):
                return self.no(400, "wrong recipients", f"personalizations.{number}.to")
            if self.refused_addresses & set(addresses):
                return self.no(400, "Does not contain a valid address.", f"personalizations.{number}.to.0.email")
        kinds = [part["type"] for part in asked["content"]]
        if kinds not in (["text/plain"], ["text/html"], ["text/plain", "text/html"]):
            return self.no(400, "text/plain comes first", "content")
        for personal in asked["personalizations"]:
            self.kept.append(self._kept(asked, personal))
        return 202, {"X-Message-Id": uuid.uuid4().hex[:22]}, b""

    @staticmethod
    def _kept(asked: Mapping[str, Any], personal: Mapping[str, Any]) -> Kept:
        subject, text = asked["subject"], asked["content"][0]["value"]
        for key, value in personal.get("substitutions", {}).items():
            subject, text = subject.replace(key, value), text.replace(key, value)
        seen = {place: personal.get(place, []) for place in ("to", "cc")}
        addresses = [one["email"] for place in ("to", "cc", "bcc") for one in personal.get(place, [])]
        return Kept(addresses, subject, text, asked["custom_args"], json.dumps(seen))

    def misbehave(self, rng: random.Random) -> int:
        """Some of the next calls go wrong. Returns how many."""
        times, how = rng.randint(1, 4), rng.choice(("lost answers", "500", "429", "401"))
        if how == "lost answers":
            self.lose_answers += times
        else:
            self.refusals += [self.no(int(how), "not now")] * times
        return times

    @staticmethod
    def no(status: int, message: str, about: str | None = None) -> Answer:
        said = {"errors": [{"message": message, "field": about, "help": None}]}
        return status, {"Content-Type": "application/json"}, json.dumps(said).encode()

    def tell(self, target: str, *kinds: str) -> list[requests.Response]:
        """Its event webhook: these events of every mail, in one array, twice, as its redeliveries do."""
        return [self.tell_of(self.kept, target, *kinds) for _ in "12"]

    def tell_of(self, mails: Sequence[Kept], target: str, *kinds: str) -> requests.Response:
        told = [
            {"event": kind, "email": address, "timestamp": int(datetime.now(UTC).timestamp()), **kept.ids}
            | {"sg_event_id": f"{kind}-{kept.ids['mailroom_dispatch']}-{kept.ids['mailroom_attempt']}-{address}"}
            for kept in mails
            for address in kept.recipients
            for kind in kinds
        ]
        raw, at = json.dumps(told).encode(), str(int(datetime.now(UTC).timestamp()))
        signature = base64.b64encode(self._key.sign(at.encode() + raw, ec.ECDSA(hashes.SHA256()))).decode()
        headers = {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Signature": signature,
            "X-Twilio-Email-Event-Webhook-Timestamp": at,
        }
        return requests.post(f"{target}/webhooks/sendgrid", data=raw, headers=headers, timeout=10)


REGION = "eu-central-1"


class Ses(Vendor):
    path = "/v2/email/outbound-emails"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sns = Sns(REGION)

    def stop(self) -> None:
        super().stop()
        self.sns.stop()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIDTESTS",
            "AWS_SECRET_ACCESS_KEY": "secret-for-tests",
            "SES_CONFIGURATION_SET": "mailroom",
            "SES_TOPIC_ARNS": self.sns.topic,
            "SES_BASE_URL": self.url,
            **self.sns.environment,
        }

    def accept(self, headers: Mapping[str, str], body: bytes) -> Answer:
        if not self._signed(headers, body):
            return self.no(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        asked = json.loads(body)
        recipients = [address for some in asked["Destination"].values() for address in some]
        tags = {tag["Name"]: tag["Value"] for tag in asked["EmailTags"]}
        if any(not value.replace("-", "").replace("_", "").isalnum() for value in tags.values()):
            return self.no(400, "BadRequestException", "Invalid tag value")
        if len(recipients) > 50:
            return self.no(400, "BadRequestException", "Recipient count exceeds 50")
        message = message_from_bytes(base64.b64decode(asked["Content"]["Raw"]["Data"]), policy=policy.default)
        said = message.get_body(("plain",))
        text = said.get_content().rstrip("\r\n") if said is not None else ""
        self.kept.append(Kept(recipients, message["Subject"], text, tags, str(message.items())))
        return 200, {"Content-Type": "application/json"}, json.dumps({"MessageId": f"0100-{uuid.uuid4()}"}).encode()

    def _signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """AWS Signature Version 4, made anew from what arrived."""
        given = {name.lower(): value for name, value in headers.items()}
        named = given["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
        request = AWSRequest("POST", f"{self.url}{self.path}", headers={n: given[n] for n in named}, data=body)
        request.context["timestamp"] = given["x-amz-date"]
        signer = SigV4Auth(Credentials("AKIDTESTS", "secret-for-tests"), "ses", REGION)
        words = signer.string_to_sign(request, signer.canonical_request(request))
        return given["authorization"].endswith(f"Signature={signer.signature(words, request)}")

    @staticmethod
    def no(status: int, kind: str, message: str) -> Answer:
        headers = {"Content-Type": "application/json", "X-Amzn-ErrorType": f"{kind}:http://internal.amazon.com/"}
        return status, headers, json.dumps({"message": message}).encode()

    def tell(self, target: str, *kinds: str) -> list[requests.Response]:
        """Its notifications, one an event and mail, twice, as SNS's redeliveries do."""
        found = [self.sns.notification(event) for kept in self.kept for event in self._events(kept, kinds)]
        return [self.sns.deliver(target, one) for one in found for _ in "12"]

    @staticmethod
    def _events(kept: Kept, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        mail = {
            "timestamp": at,
            "messageId": "0100",
            "destination": kept.recipients,
            "tags": {name: [value] for name, value in kept.ids.items()},
        }
        own = {"Send": {}, "Delivery": {"timestamp": at, "recipients": kept.recipients, "smtpResponse": "250 ok"}}
        for kind in kinds:
            yield {"eventType": kind, "mail": mail, kind.lower(): own[kind]}


VENDORS: dict[str, Callable[[], Any]] = {"sendgrid": SendGrid, "ses": Ses}
WORDS = {"sendgrid": ("processed", "delivered"), "ses": ("Send", "Delivery")}  # accepted, delivered
