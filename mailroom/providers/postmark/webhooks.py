"""Postmark's webhooks: check the secret that comes with each, then parse its one event into ours.

Source: postmarkapp.com/developer/webhooks/webhooks-overview and the pages of its webhooks, "Bounce types" of
/developer/api/bounce-api (read 2026-11). Postmark signs nothing. It sends the user and the password in the target's URL
as basic authentication: anybody who knows them can forge events, and anybody who reads one delivery knows them. Retries
stop after a 403.
"""

import base64
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from mailroom.domain.bounces import is_hard
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId, whole_dispatch
from mailroom.providers.mending import storable_document
from mailroom.providers.parsing import address_in, digest_of, id_of, iso_moment, mapping, text_of
from mailroom.providers.postmark.sending import DISPATCH, RUN
from mailroom.providers.webhooks import BadSignature, Delivery, Malformed, Verified, WebhookFace

USER: Final = "mailroom"
_MOST_WORDS: Final = 2_000
_TIMES: Final = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")

_KINDS: Final = {
    "Delivery": EventKind.DELIVERED,
    "Open": EventKind.OPENED,
    "Click": EventKind.CLICKED,
    "SpamComplaint": EventKind.COMPLAINED,
}
# Types of a `Bounce`: not all are bounces.
_BOUNCES: Final = {
    "HardBounce": EventKind.BOUNCED,
    "SoftBounce": EventKind.BOUNCED,
    "Blocked": EventKind.BOUNCED,
    "DMARCPolicy": EventKind.BOUNCED,
    "SpamNotification": EventKind.BOUNCED,
    "VirusNotification": EventKind.BOUNCED,
    "Transient": EventKind.DEFERRED,
    "DnsError": EventKind.DEFERRED,
    "BadEmailAddress": EventKind.REJECTED,
    "ManuallyDeactivated": EventKind.REJECTED,
    "Unconfirmed": EventKind.REJECTED,
    "SMTPApiError": EventKind.FAILED,
    "TemplateRenderingFailed": EventKind.FAILED,
    "SpamComplaint": EventKind.COMPLAINED,
    "Unsubscribe": EventKind.UNSUBSCRIBED,
    # Replies by machines.
    "AddressChange": EventKind.FEEDBACK,
    "AutoResponder": EventKind.FEEDBACK,
    "ChallengeVerification": EventKind.FEEDBACK,
    "OpenRelayTest": EventKind.FEEDBACK,
    "Subscribe": EventKind.FEEDBACK,
}
# Types that blame the receiver's policy, or the content.
_MAY_BLAME_THE_ADDRESS: Final = {"HardBounce", "SoftBounce"}
# Reasons of a SubscriptionChange that a record of its own tells as well.
_TOLD_ELSEWHERE: Final = {"HardBounce", "SpamComplaint"}


class PostmarkWebhooks(WebhookFace):
    """The webhooks of one server."""

    name = "postmark"
    refused_for_good = 403

    def __init__(self, *, secrets: Sequence[str]) -> None:
        self._expected = [base64.b64encode(f"{USER}:{secret}".encode()) for secret in secrets]

    def verify(self, delivery: Delivery) -> Verified:
        scheme, _, given = delivery.headers.get("authorization", "").partition(" ")
        credentials = given.strip().encode("utf-8", "replace")
        # All are compared, so that the time taken reveals nothing.
        fits = any([hmac.compare_digest(credentials, expected) for expected in self._expected])  # noqa: C419
        if not fits or scheme.lower() != "basic":
            raise BadSignature("user and password are not those of the target's URL")
        return Verified(storable_document(delivery.body), delivery.at)

    def parse(self, verified: Verified) -> Sequence[Event]:
        return parse(verified.document, verified.at)


def parse(document: Any, told_at: datetime) -> list[Event]:
    """The event of a verified webhook. What cannot be read of it becomes an event of kind UNKNOWN, with Postmark's own
    words. `told_at`: the time for an event without one. Raises Malformed unless the document is an object."""
    if not isinstance(document, dict):
        raise Malformed("the body is no object")
    record = text_of(document.get("RecordType"))
    if record == "SubscriptionChange" and text_of(document.get("SuppressionReason")) in _TOLD_ELSEWHERE:
        return []
    kind, metadata = _kind(record, document), mapping(document.get("Metadata"))
    run_id: RunId | None = id_of(RunId, metadata.get(RUN))
    short: DispatchId | None = id_of(DispatchId, metadata.get(DISPATCH))
    at = next((time for name in _TIMES if (time := iso_moment(document.get(name)))), told_at)
    return [
        Event(
            id=_id(record, document),
            provider="postmark",
            kind=kind,
            at=at,
            recipient=address_in(document.get("Recipient")) or address_in(document.get("Email")),
            run_id=run_id,
            dispatch_id=whole_dispatch(short, run_id) if short and run_id else None,
            raw=json.dumps(document),
            hard=kind is EventKind.BOUNCED and _blames_the_address(document),
            reason=_reason(document),
            provider_id=text_of(document.get("MessageID")),
        )
    ]


def _id(record: str, document: Mapping[str, Any]) -> str:
    """Only bounces and complaints have an id. A retry repeats its words, so any other event has its content as id."""
    number = document.get("ID")
    if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 2**63:
        return f"postmark/{record}/{number}"
    return f"postmark/words-{digest_of(document)}"


def _kind(record: str, document: Mapping[str, Any]) -> EventKind:
    if record == "Bounce":
        return _BOUNCES.get(text_of(document.get("Type")), EventKind.UNKNOWN)
    if record != "SubscriptionChange":
        return _KINDS.get(record, EventKind.UNKNOWN)
    if document.get("SuppressSending") is False:
        return EventKind.RESUBSCRIBED
    # Postmark's list is changed by our own people too: no reader has asked for that.
    return EventKind.UNSUBSCRIBED if document.get("Origin") == "Recipient" else EventKind.FEEDBACK


def _blames_the_address(document: Mapping[str, Any]) -> bool:
    type_ = text_of(document.get("Type"))
    words = text_of(document.get("Details"), _MOST_WORDS)
    return type_ in _MAY_BLAME_THE_ADDRESS and is_hard(None, "", words, told_hard=type_ == "HardBounce")


def _reason(document: Mapping[str, Any]) -> str:
    words = (document.get("Type"), document.get("SuppressionReason"), document.get("Details"))
    return ": ".join(text_of(word) for word in words if text_of(word))[:500]
