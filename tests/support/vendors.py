"""SendGrid and Amazon SES at the wire, and all vendors by name: they accept and refuse as their documents say, and tell
what they accepted by signed webhooks.
"""

import base64
import json
import random
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.postmark import Postmark
from tests.support.resend import Resend
from tests.support.sns import Sns
from tests.support.vendor import Answer, Kept, Vendor, body_of


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
        subject, bodies = asked["subject"], [part["value"] for part in asked["content"]]
        own = {**asked.get("headers", {}), **personal.get("headers", {})}
        for key, value in personal.get("substitutions", {}).items():
            subject, bodies = subject.replace(key, value), [body.replace(key, value) for body in bodies]
        seen = {place: personal.get(place, []) for place in ("to", "cc")}
        addresses = [one["email"] for place in ("to", "cc", "bcc") for one in personal.get(place, [])]
        return Kept(addresses, subject, bodies[0], asked["custom_args"], json.dumps(seen), bodies[-1], own)

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
        text, html = (body_of(message, kind) for kind in ("plain", "html"))
        own = {name: str(value) for name, value in message.items()}
        self.kept.append(Kept(recipients, message["Subject"], text, tags, str(message.items()), html, own))
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


VENDORS: dict[str, Callable[[], Any]] = {"sendgrid": SendGrid, "ses": Ses, "postmark": Postmark, "resend": Resend}
# accepted, delivered. Postmark tells nothing between its answer and the delivery.
WORDS = {
    "sendgrid": ("processed", "delivered"),
    "ses": ("Send", "Delivery"),
    "postmark": ("Delivery", "Delivery"),
    "resend": ("email.sent", "email.delivered"),
}
