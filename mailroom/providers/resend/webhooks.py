"""Resend's webhooks: verify Svix's signature over the raw body, then parse the one event into ours.

Source: resend.com/docs/webhooks/verify-webhooks-requests, /introduction and /emails, docs.svix.com/receiving/
verifying-payloads/how-manual (read 2026-11): HMAC-SHA256 over `id.timestamp.body` with the base64 part of the secret; a
header with one or several `v1,<base64>`, while a secret is changed. The timestamp is that of the attempt, at most five
minutes off; the id stays the same for all attempts. The signature covers the body, so its content is believed.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from mailroom.domain.bounces import is_hard
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.mending import storable_document
from mailroom.providers.parsing import address_in, id_of, iso_moment, mapping, moment, text_of
from mailroom.providers.resend.tags import recipients_in
from mailroom.providers.tags import DISPATCH, RUN, of_tag
from mailroom.providers.webhooks import BadSignature, Delivery, Malformed, Stale, Verified, WebhookFace

MAX_OFF: Final = timedelta(minutes=5)
SECRET_PREFIX: Final = "whsec_"  # noqa: S105
_VERSION: Final = "v1"
_MOST_WORDS: Final = 2_000

# The name after `email.`, and our kind. Events of contacts and domains, and mails that came in, are about no mail of
# ours.
_KINDS: Final = {
    "sent": EventKind.ACCEPTED,
    "delivered": EventKind.DELIVERED,
    "delivery_delayed": EventKind.DEFERRED,
    "bounced": EventKind.BOUNCED,
    "complained": EventKind.COMPLAINED,
    "opened": EventKind.OPENED,
    "clicked": EventKind.CLICKED,
    "failed": EventKind.FAILED,
    "suppressed": EventKind.REJECTED,
}
_OF_EMAILS: Final = "email."
_RECEIVED: Final = "email.received"
# Kinds that concern a mail as a whole. All others concern one of its recipients, and do not say which.
_OF_ALL: Final = {EventKind.ACCEPTED, EventKind.FAILED}
# Amazon SES's words, which Resend passes on.
_PERHAPS_A_REPLY: Final = {"General", "Undetermined"}
_NEVER_TRIED: Final = {"OnAccountSuppressionList", "Suppressed"}


class ResendWebhooks(WebhookFace):
    """The webhook of one account. Its events have no id of their own: it is in the signed headers."""

    name = "resend"

    def __init__(self, *, secrets: Sequence[str]) -> None:
        self._keys = [base64.b64decode(secret.removeprefix(SECRET_PREFIX)) for secret in secrets]

    def verify(self, delivery: Delivery) -> Verified:
        id_ = verify(delivery.body, delivery.headers, keys=self._keys, now=delivery.at)
        return Verified({"id": id_, "event": storable_document(delivery.body)}, delivery.at)

    def parse(self, verified: Verified) -> Sequence[Event]:
        return parse(verified.document["id"], verified.document["event"], verified.at)


def verify(raw: bytes, headers: Mapping[str, str], *, keys: Sequence[bytes], now: datetime) -> str:
    """The delivery's id. Raises BadSignature, or Stale if the signature fits and its time is not now."""
    id_, timestamp, given = (headers.get(f"svix-{name}", "") for name in ("id", "timestamp", "signature"))
    if not id_ or not timestamp or not given:
        raise BadSignature("the delivery is not signed")
    words = f"{id_}.{timestamp}.".encode("utf-8", "replace") + raw
    expected = [base64.b64encode(hmac.new(key, words, hashlib.sha256).digest()) for key in keys]
    split = (each.partition(",") for each in given.split())
    signatures = [value.encode("utf-8", "replace") for version, _, value in split if version == _VERSION]
    # All signatures are compared with all secrets, so that the time taken reveals nothing.
    pairs = [(each, right) for each in signatures for right in expected]
    if not any([hmac.compare_digest(each, right) for each, right in pairs]):  # noqa: C419
        raise BadSignature("no signature fits a secret")
    signed_at = moment(timestamp)
    if signed_at is None or abs(now - signed_at) > MAX_OFF:
        raise Stale(f"signed at {timestamp[:20]}, which is not now")
    return id_


def parse(id_: str, document: Any, told_at: datetime) -> list[Event]:
    """The events of a verified webhook: one for each recipient that is known to be meant. What cannot be read of it
    becomes an event of kind UNKNOWN, with Resend's own words. `told_at`: the time for an event without one. Raises
    Malformed unless the document is an object with a type."""
    raw = mapping(document)
    type_, data = text_of(raw.get("type")), mapping(raw.get("data"))
    if not type_:
        raise Malformed("the body is no event")
    if not type_.startswith(_OF_EMAILS) or type_ == _RECEIVED:
        return []
    tags = _tags(data.get("tags"))
    detail = mapping(data.get("bounce")) or mapping(data.get("suppressed")) or mapping(data.get("failed"))
    kind = _kind(type_.removeprefix(_OF_EMAILS), detail)
    recipients = _recipients(kind, data, tags)
    return [
        Event(
            id=f"resend/{text_of(id_)}/{number}",
            provider="resend",
            kind=kind,
            at=iso_moment(raw.get("created_at")) or told_at,
            recipient=recipient,
            run_id=id_of(RunId, of_tag(text_of(tags.get(RUN)))),
            dispatch_id=id_of(DispatchId, of_tag(text_of(tags.get(DISPATCH)))),
            raw=json.dumps(document),
            hard=kind is EventKind.BOUNCED and bool(recipient) and _blames_the_address(detail),
            reason=_reason(detail),
            provider_id=text_of(data.get("email_id")),
        )
        for number, recipient in enumerate(recipients)
    ]


def _recipients(kind: EventKind, data: Mapping[str, Any], tags: Mapping[str, Any]) -> list[str]:
    """Everybody that the event is known to be about; one empty name if nobody knows."""
    if everybody := recipients_in(tags):
        return everybody if kind in _OF_ALL else [""]
    to = data.get("to")
    named = [address for each in to if (address := address_in(each))] if isinstance(to, list) else [address_in(to)]
    return named if len(named) == 1 else [""]


def _tags(value: Any) -> Mapping[str, Any]:
    """The tags by name: events have an object, and those of earlier years a list as in the request."""
    if isinstance(value, list):
        return {text_of(mapping(tag).get("name")): mapping(tag).get("value") for tag in value}
    return mapping(value)


def _kind(name: str, detail: Mapping[str, Any]) -> EventKind:
    kind = _KINDS.get(name, EventKind.UNKNOWN)
    if kind is not EventKind.BOUNCED:
        return kind
    if detail.get("subType") in _NEVER_TRIED:
        return EventKind.REJECTED
    # Absence notes come as such bounces; their mails have arrived.
    reply = detail.get("type") in ("Transient", "Undetermined") and detail.get("subType") in _PERHAPS_A_REPLY
    return EventKind.DEFERRED if reply else kind


def _blames_the_address(detail: Mapping[str, Any]) -> bool:
    """By the receiving server's words alone: Resend's own (`message`) give advice about reputation."""
    if detail.get("type") != "Permanent":
        return False
    words = _diagnosis(detail)
    if detail.get("subType") == "NoEmail":
        words = f"{words} (invalid address)".strip()
    return is_hard(None, "", words, told_hard=True)


def _diagnosis(detail: Mapping[str, Any]) -> str:
    lines = detail.get("diagnosticCode")
    return " ".join(text_of(line) for line in lines)[:_MOST_WORDS] if isinstance(lines, list) else text_of(lines)


def _reason(detail: Mapping[str, Any]) -> str:
    words = (detail.get("type"), detail.get("subType"), detail.get("reason"))
    parts = [text_of(word) for word in words] + [_diagnosis(detail) or text_of(detail.get("message"))]
    return ": ".join(word for word in parts if word)[:500]
