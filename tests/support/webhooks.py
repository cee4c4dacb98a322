"""Webhooks as Mailgun sends them, signed with the key of the tests."""

import hashlib
import hmac
import time
from typing import Any


def webhook(
    event: Any, *, key: str = "signing-key-for-tests", token: str = "t" * 50, age_s: float = 0
) -> dict[str, Any]:
    timestamp = str(int(time.time() - age_s))
    signature = hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    return {"signature": {"timestamp": timestamp, "token": token, "signature": signature}, "event-data": event}


OPENED = {"event": "opened", "id": "e1", "timestamp": 1767268800.123, "recipient": "bo@example.org"}
