"""Resend at the wire, with its idempotency keys, and webhooks signed as Svix signs."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import requests

from tests.support.vendor import Answer, Kept, Vendor, addresses, as_json


class Resend(Vendor):
    name = "resend"
    path = "/emails"
    paths = ("/emails/batch",)
    says_whose = False
    secret = base64.b64encode(b"a key of tests, of 24 by").decode()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._answers: dict[str, tuple[bytes, Answer]] = {}  # of accepted calls, by key

    @property
    def settings(self) -> dict[str, str]:
        return {
            "RESEND_BASE_URL": self.url,
            "RESEND_API_KEY": "re_tests",
            "RESEND_WEBHOOK_SECRET": f"whsec_{self.secret}",
        }

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if headers.get("Authorization") != "Bearer re_tests" or not headers.get("User-Agent"):
            return self.no(403, "invalid_api_key", "API key is invalid")
        key = headers["Idempotency-Key"]
        if key not in self._answers:
            answer = self._carry(json.loads(body), path)
            if answer[0] != 200:
                return answer
            self._answers[key] = body, answer
        before, answer = self._answers[key]
        return answer if before == body else self.no(409, "invalid_idempotent_request", "Another payload")

    def _carry(self, asked: Any, path: str) -> Answer:
        """All of these mails, or none."""
        many = path.endswith("/batch")
        mails: Sequence[Mapping[str, Any]] = asked if many else [asked]
        for mail in mails:
            if fault := self._fault(mail):
                return self.no(422, "validation_error", fault)
        for mail in mails:
            ids = {tag["name"]: tag["value"] for tag in mail["tags"]}
            seen = json.dumps({place: mail.get(place) for place in ("to", "cc")})
            text, html, own = mail.get("text", ""), mail.get("html", ""), mail.get("headers", {})
            self.kept.append(Kept(self._recipients(mail), mail["subject"], text, ids, seen, html, own))
        new = [{"id": str(uuid.uuid4())} for _ in mails]
        return as_json(200, {"data": new} if many else new[0])

    def _fault(self, mail: Mapping[str, Any]) -> str:
        if not mail.get("to") or self.refused_addresses & set(self._recipients(mail)):
            return "Invalid `to` field. The email address needs to follow the `email@example.com` format."
        odd = [tag for tag in mail["tags"] if not tag["value"].replace("-", "").replace("_", "").isalnum()]
        return "Tags should only contain ASCII letters, numbers, underscores, or dashes." if odd else ""

    @staticmethod
    def _recipients(mail: Mapping[str, Any]) -> list[str]:
        return addresses(*(each for place in ("to", "cc", "bcc") for each in mail.get(place, [])))

    @staticmethod
    def no(status: int, name: str, message: str) -> Answer:
        return as_json(status, {"statusCode": status, "name": name, "message": message})

    def tell(self, target: str, *kinds: str) -> list[requests.Response]:
        """Its webhooks: an event for each recipient, each with the addresses of `to` alone; twice with one id, as its
        retries come."""
        told = [self._event(kept, kind) for kept in self.kept for kind in kinds for _ in kept.recipients]
        return [self._deliver(target, f"msg_{number}", body) for number, body in enumerate(told) for _ in "12"]

    @staticmethod
    def _event(kept: Kept, kind: str) -> bytes:
        to = addresses(*json.loads(kept.headers)["to"])
        at = datetime.now(UTC).isoformat()
        return json.dumps({"type": kind, "created_at": at, "data": {"to": to, "tags": kept.ids}}).encode()

    def _deliver(self, target: str, id_: str, body: bytes) -> requests.Response:
        at = str(int(datetime.now(UTC).timestamp()))
        mac = hmac.new(base64.b64decode(self.secret), f"{id_}.{at}.".encode() + body, hashlib.sha256)
        signature = f"v1,{base64.b64encode(mac.digest()).decode()}"
        headers = {"svix-id": id_, "svix-timestamp": at, "svix-signature": signature}
        return requests.post(f"{target}/webhooks/resend", data=body, headers=headers, timeout=10)
