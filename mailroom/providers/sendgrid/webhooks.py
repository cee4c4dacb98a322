"""SendGrid's event webhook: verify the signature over the raw body, then parse its array of events into ours.

Source: docs.sendgrid.com, "Event Webhook Reference" and "Event Webhook Security Features" (read
2026-11): ECDSA over P-256 with SHA-256 of the timestamp header's bytes and the raw body; the key is base64 DER. The
signature covers the body, so what it says is believed. No replay window is documented; events are known by their id.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.sendgrid.sending import DISPATCH, RUN

SIGNATURE: Final = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP: Final = "X-Twilio-Email-Event-Webhook-Timestamp"
MAX_FIELD: Final = 998

_KINDS: Final = {
    "processed": EventKind.ACCEPTED,
    "delivered": EventKind.DELIVERED,
    "deferred": EventKind.DEFERRED,
    "bounce": EventKind.BOUNCED,
    "dropped": EventKind.REJECTED,
    "open": EventKind.OPENED,
    "click": EventKind.CLICKED,
    "spamreport": EventKind.COMPLAINED,
    "unsubscribe": EventKind.UNSUBSCRIBED,
    "group_unsubscribe": EventKind.UNSUBSCRIBED,
}
# Policy, full mailbox, size, content and sender: nothing that the address itself is to blame for.
_NOT_THE_ADDRESS: Final = ("5.7.", "5.2.2", "5.2.3", "5.3.4", "5.6.", "5.1.7", "5.1.8", "5.4.7", "4.")


class BadSignature(Exception):
    """The signature does not fit our key."""


class Malformed(Exception):
    """This is nothing of SendGrid's."""


def verify(raw: bytes, signature: str, timestamp: str, *, public_key: str) -> None:
    """Raises BadSignature, or ValueError for a key that is none."""
    key = load_der_public_key(base64.b64decode(public_key))
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("the verification key is not one of an elliptic curve")
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + raw, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise BadSignature("the signature does not fit the verification key") from error


def parse(raw: bytes) -> list[Event]:
    """The events of a verified webhook; what cannot be one is left out. Raises Malformed for what is no array."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(found, list):
        raise Malformed("the body is no array")
    events = []
    for one in found:
        if isinstance(one, dict) and (event := _event(one)):
            events.append(event)
    return events


def _event(raw: Mapping[str, Any]) -> Event | None:
    id_, name, at = raw.get("sg_event_id"), raw.get("event"), _time(raw.get("timestamp"))
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_FIELD or not isinstance(name, str) or at is None:
        return None
    status, recipient = str(raw.get("status") or ""), raw.get("email")
    text = json.dumps(raw)
    try:
        json.dumps(raw, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None  # half a surrogate pair is no text
    return Event(
        id=f"sendgrid/{id_}",
        provider="sendgrid",
        kind=_KINDS.get(name, EventKind.UNKNOWN),
        at=at,
        recipient=recipient[:MAX_FIELD] if isinstance(recipient, str) else "",
        run_id=_id(RunId, raw.get(RUN)),
        dispatch_id=_id(DispatchId, raw.get(DISPATCH)),
        raw=text,
        by_machine=raw.get("sg_machine_open") is True,
        # `blocked` is soft: a policy of the receiving side, not the address.
        hard=name == "bounce" and raw.get("type") == "bounce" and not status.startswith(_NOT_THE_ADDRESS),
        reason=str(raw.get("reason") or raw.get("response") or "")[:500],
    )


def _time(value: Any) -> datetime | None:
    try:
        moment = datetime.fromtimestamp(int(value), UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return moment if 2000 <= moment.year <= 2200 else None


def _id(kind: Any, value: Any) -> Any:
    return kind(value) if isinstance(value, str) and 0 < len(value) <= 200 else None
