"""Postmark at the wire. It signs nothing: its webhooks come with user and password of the target's URL."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from tests.support.vendor import Answer, Kept, Vendor, addresses, as_json


@dataclass
class Postmark(Vendor):
    targets: list[dict[str, Any]] = field(default_factory=list)  # as they were registered
    name = "postmark"
    path = "/email"
    paths = ("/email/batch", "/webhooks")
    secret = "a-secret-of-tests-1"

    @property
    def settings(self) -> dict[str, str]:
        return {
            "POSTMARK_BASE_URL": self.url,
            "POSTMARK_SERVER_TOKEN": "token-of-tests",
            "POSTMARK_WEBHOOK_SECRET": self.secret,
        }

    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if headers.get("X-Postmark-Server-Token") != "token-of-tests":
            return self.no(401, 10, "The Server Token you provided in the X-Postmark-Server-Token is not valid.")
        asked = json.loads(body or b"null")
        if path.startswith("/webhooks"):
            self.targets += [asked] if asked else []
            return as_json(200, {"Webhooks": []} | (asked or {}))
        if path == self.path:
            result = self._result(asked, "outbound")
            return as_json(422 if result["ErrorCode"] else 200, result)
        if not isinstance(asked, list) or len(asked) > 500:
            return self.no(422, 410, "Too many batch messages")
        return as_json(200, [self._result(mail, "broadcast") for mail in asked])

    def _result(self, mail: Mapping[str, Any], stream: str) -> dict[str, Any]:
        everybody = addresses(*(mail[place] for place in ("To", "Cc", "Bcc") if place in mail))
        if mail.get("MessageStream") != stream:
            return {"ErrorCode": 1235, "Message": "The 'MessageStream' provided does not exist on this server."}
        if any(len(name) > 20 or len(value) > 80 for name, value in mail["Metadata"].items()):
            return {"ErrorCode": 300, "Message": "Invalid metadata content."}
        if not mail.get("To") or not (mail.get("TextBody") or mail.get("HtmlBody")):
            return {"ErrorCode": 300, "Message": "Zero recipients or bodies specified"}
        if refused := self.refused_addresses & set(everybody):
            return {"ErrorCode": 300, "Message": f"Invalid 'To' address: '{refused.pop()}'."}
        seen = json.dumps({place: mail.get(place) for place in ("To", "Cc")})
        own = {header["Name"]: header["Value"] for header in mail.get("Headers", [])}
        text, html = mail.get("TextBody", ""), mail.get("HtmlBody", "")
        self.kept.append(Kept(everybody, mail["Subject"], text, mail["Metadata"], seen, html, own))
        return {"To": mail["To"], "MessageID": str(uuid.uuid4()), "ErrorCode": 0, "Message": "OK"}

    @staticmethod
    def no(status: int, code: int, message: str) -> Answer:
        return as_json(status, {"ErrorCode": code, "Message": message})

    def tell(self, target: str, *kinds: str) -> list[requests.Response]:
        """Its webhooks, one event each, twice, as its retries come; to the registered URL if there is one."""
        at = datetime.now(UTC).isoformat()
        told = [
            {"RecordType": kind, "Recipient": address, "MessageID": "id", "DeliveredAt": at, "Metadata": kept.ids}
            for kept in self.kept
            for address in kept.recipients
            for kind in kinds
        ]
        url = f"{target}/webhooks/postmark".replace("://", f"://mailroom:{self.secret}@")
        if self.targets:
            user = self.targets[0]["HttpAuth"]
            url = self.targets[0]["Url"].replace("://", f"://{user['Username']}:{user['Password']}@")
        return [requests.post(url, json=one, timeout=10) for one in told for _ in "12"]
