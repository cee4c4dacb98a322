"""SendGrid's event webhook: verify the signature over the raw body, then parse its array of events into ours.

Source: docs.sendgrid.com, "Event Webhook Reference" and "Event Webhook Security Features" (read
2026-11): ECDSA over P-256 with SHA-256 of the timestamp header's bytes and the raw body; the key is base64 DER. The
signature covers the body, so its content is believed. No replay window is documented; repeated events are recognised
by their id, and by their content.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from mailroom.domain.bounces import is_hard
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.mending import storable_document
from mailroom.providers.parsing import address_in, digest_of, id_of, mapping, moment, text_of
from mailroom.providers.sendgrid.sending import DISPATCH, RUN
from mailroom.providers.webhooks import BadSignature, Delivery, Malformed, Verified, WebhookFace

_SIGNATURE: Final = "x-twilio-email-event-webhook-signature"
_TIMESTAMP: Final = "x-twilio-email-event-webhook-timestamp"

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
    "resubscribe": EventKind.RESUBSCRIBED,
    "group_resubscribe": EventKind.RESUBSCRIBED,
}
# SendGrid's classes of bounces that do not blame the address.
_NOT_THE_ADDRESS: Final = {"content", "reputation", "technical", "frequency or volume too high", "frequency/volume"}


class SendGridWebhooks(WebhookFace):
    """The signed event webhook of one account."""

    name = "sendgrid"

    def __init__(self, *, verification_keys: Sequence[str]) -> None:
        self._keys = verification_keys

    def verify(self, delivery: Delivery) -> Verified:
        signature, timestamp = (delivery.headers.get(name, "") for name in (_SIGNATURE, _TIMESTAMP))
        verify(delivery.body, signature, timestamp, public_keys=self._keys)
        return Verified(storable_document(delivery.body), moment(timestamp) or delivery.at)

    def parse(self, verified: Verified) -> Sequence[Event]:
        return parse(verified.document, verified.at)


def verify(raw: bytes, signature: str, timestamp: str, *, public_keys: Sequence[str]) -> None:
    """Raises BadSignature unless one of the keys fits, or ValueError if one is not an elliptic-curve key."""
    if not any([_fits(raw, signature, timestamp, _loaded(key)) for key in public_keys]):  # noqa: C419
        raise BadSignature("the signature fits no verification key")


def _loaded(public_key: str) -> EllipticCurvePublicKey:
    key = load_der_public_key(base64.b64decode(public_key))
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("the verification key is not one of an elliptic curve")
    return key


def _fits(raw: bytes, signature: str, timestamp: str, key: EllipticCurvePublicKey) -> bool:
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + raw, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def parse(document: Any, told_at: datetime | None = None) -> list[Event]:
    """The events of a verified webhook. A part that cannot be read becomes an event of kind UNKNOWN with the provider's
    own words: it is signed, and SendGrid does not send it again.

    `told_at`: the time for events without one; without `told_at` these are left out. Raises Malformed unless the
    document is an array, or one event.
    """
    parts = [document] if isinstance(document, dict) and "event" in document else document
    if not isinstance(parts, list):
        raise Malformed("the body is no array")
    return [event for part in parts if (event := _event(part, told_at))]


def _event(part: Any, told_at: datetime | None) -> Event | None:
    raw = mapping(part)
    name, at = raw.get("event"), moment(raw.get("timestamp")) or told_at
    if at is None:
        return None
    # A retry may come with a new id: equal content means the same event. An event without an id has its content as id.
    words = f"sendgrid/words-{digest_of(part, without='sg_event_id')}"
    id_ = text_of(raw.get("sg_event_id"))
    kind = _KINDS.get(name, EventKind.UNKNOWN) if isinstance(name, str) else EventKind.UNKNOWN
    return Event(
        id=f"sendgrid/{id_}" if id_ else words,
        provider="sendgrid",
        kind=kind,
        at=at,
        recipient=address_in(raw.get("email")),
        run_id=id_of(RunId, raw.get(RUN)),
        dispatch_id=id_of(DispatchId, raw.get(DISPATCH)),
        raw=json.dumps(part),
        by_machine=raw.get("sg_machine_open") is True,
        hard=kind is EventKind.BOUNCED and _blames_the_address(raw),
        reason=(text_of(raw.get("reason")) or text_of(raw.get("response")))[:500],
        provider_id=text_of(raw.get("sg_message_id")).partition(".")[0],
        replay_key=words,
    )


def _blames_the_address(raw: Mapping[str, Any]) -> bool:
    """True if a bounce blames the address. `blocked` is a policy of the receiver; else words and codes decide."""
    if raw.get("type") == "blocked":
        return False
    words, classed = text_of(raw.get("reason"), 2_000), text_of(raw.get("bounce_classification"))
    if classed.lower() in _NOT_THE_ADDRESS:
        return False
    if classed.lower() == "invalid address":
        words = f"{words} (invalid address)".strip()
    return is_hard(None, text_of(raw.get("status")), words, told_hard=raw.get("type") == "bounce")
