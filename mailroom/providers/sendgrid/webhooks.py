"""SendGrid's event webhook: verify the signature over the raw body, then parse its array of events into ours.

Source: docs.sendgrid.com, "Event Webhook Reference" and "Event Webhook Security Features" (read
2026-11): ECDSA over P-256 with SHA-256 of the timestamp header's bytes and the raw body; the key is base64 DER. The
signature covers the body, so what it says is believed. No replay window is documented; events are known by their id.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.reading import MAX_FIELD, NOT_THE_ADDRESS, id_of, json_of, moment
from mailroom.providers.sendgrid.sending import DISPATCH, RUN

SIGNATURE: Final = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP: Final = "X-Twilio-Email-Event-Webhook-Timestamp"

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
    found = json_of(raw)
    if not isinstance(found, list):
        raise Malformed("the body is no array")
    events = []
    for one in found:
        if isinstance(one, dict) and (event := _event(one)):
            events.append(event)
    return events


def _event(raw: Mapping[str, Any]) -> Event | None:
    id_, name, at = raw.get("sg_event_id"), raw.get("event"), moment(raw.get("timestamp"))
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
        run_id=id_of(RunId, raw.get(RUN)),
        dispatch_id=id_of(DispatchId, raw.get(DISPATCH)),
        raw=text,
        by_machine=raw.get("sg_machine_open") is True,
        # `blocked` is soft: a policy of the receiving side, not the address.
        hard=name == "bounce" and raw.get("type") == "bounce" and not status.startswith(NOT_THE_ADDRESS),
        reason=str(raw.get("reason") or raw.get("response") or "")[:500],
    )
