"""Amazon SES's notifications: an envelope of Amazon SNS, verified, and the SES event that it carries.

Source: docs.aws.amazon.com, "Verifying the signatures of Amazon SNS messages", "Parsing Amazon SNS message formats" and
"Contents of event data that Amazon SES publishes to Amazon SNS" (read 2026-11). Anybody can have AWS
sign for a topic of their own: only topics in the settings are believed, with certificates from AWS' own hosts.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

import requests
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from mailroom.domain.bounces import is_hard
from mailroom.domain.errors import Unavailable
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.mending import storable_document
from mailroom.providers.parsing import address_in, id_of, iso_moment, json_of, mapping, text_of, without_halves
from mailroom.providers.tags import DISPATCH, RUN, of_tag
from mailroom.providers.webhooks import BadSignature, Delivery, Malformed, Verified, WebhookFace

log = structlog.get_logger()

NOTIFICATION: Final = "Notification"
CONFIRMATION: Final = "SubscriptionConfirmation"
_TOPIC: Final = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]{1,40}):\d{12}:[A-Za-z0-9_-]{1,256}")
_CERTIFICATE: Final = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")
_SIGNED: Final = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
# SNS signs version 1, its default, with SHA-1.
_HASHES: Final = {"1": SHA1(), "2": SHA256()}  # noqa: S303
_FETCH_S: Final = 10
_MOST_BYTES: Final = 64 * 1024
Fetch = Callable[[str], bytes]

# Type of event -> the key of its own part, and our kind.
_KINDS: Final = {
    "Send": ("send", EventKind.ACCEPTED),
    "Delivery": ("delivery", EventKind.DELIVERED),
    "DeliveryDelay": ("deliveryDelay", EventKind.DEFERRED),
    "Bounce": ("bounce", EventKind.BOUNCED),
    "Complaint": ("complaint", EventKind.COMPLAINED),
    "Reject": ("reject", EventKind.REJECTED),
    "Rendering Failure": ("failure", EventKind.FAILED),
    "Open": ("open", EventKind.OPENED),
    "Click": ("click", EventKind.CLICKED),
    "Subscription": ("subscription", EventKind.UNKNOWN),
}
# Kinds of feedback (RFC 5965, RFC 6591) that are not complaints.
_NO_COMPLAINTS: Final = {"not-spam", "auth-failure"}
_GREETING: Final = "Successfully validated SNS topic"
_PERHAPS_A_REPLY: Final = {"General", "Undetermined"}
_NEVER_TRIED: Final = {"OnAccountSuppressionList", "Suppressed", "UnsubscribedRecipient"}


def fetch(url: str) -> bytes:
    """The body behind a URL of AWS. Raises Unavailable."""
    try:
        with requests.get(url, timeout=_FETCH_S, allow_redirects=False, stream=True) as reply:
            reply.raise_for_status()
            return bytes(reply.raw.read(_MOST_BYTES, decode_content=True))
    except (requests.RequestException, OSError) as error:
        raise Unavailable(f"{urlsplit(url).hostname} did not answer: {error}") from error


class SesWebhooks(WebhookFace):
    """The notifications of SNS topics: only these topics are believed."""

    name = "ses"

    def __init__(self, *, topics: Sequence[str]) -> None:
        self._topics = topics

    def verify(self, delivery: Delivery) -> Verified:
        return Verified(verify(json_of(delivery.body), self._topics, now=delivery.at), delivery.at)

    def confirm(self, verified: Verified) -> None:
        envelope = verified.document
        if envelope["Type"] == CONFIRMATION:
            confirm(envelope)
            log.info("subscription_confirmed", provider=self.name, topic=envelope["TopicArn"])

    def parse(self, verified: Verified) -> Sequence[Event]:
        return parse(verified.document) if verified.document["Type"] == NOTIFICATION else []


@lru_cache(maxsize=16)
def _certificate(url: str, get: Fetch) -> bytes:
    return get(url)


def verify(document: Any, topics: Sequence[str], *, now: datetime, get: Fetch = fetch) -> Mapping[str, str]:
    """The envelope, reduced to its texts. Raises Malformed, BadSignature, or Unavailable if the certificate cannot be
    fetched."""
    envelope = {key: value for key, value in mapping(document).items() if isinstance(value, str)}
    signed = _SIGNED.get(envelope.get("Type", ""))
    if signed is None or not {"Message", "MessageId", "Timestamp", "TopicArn", "SigningCertURL"} <= envelope.keys():
        raise Malformed("this is no message of SNS")
    if envelope["TopicArn"] not in topics:
        raise BadSignature("the topic is none of ours")
    url = envelope["SigningCertURL"]
    if not is_of_sns(url, envelope["TopicArn"]) or not _CERTIFICATE.fullmatch(urlsplit(url).path):
        raise BadSignature("the certificate is not of AWS")
    algorithm = _HASHES.get(envelope.get("SignatureVersion", ""))
    if algorithm is None:
        raise Malformed("the version of the signature is unknown")
    words = "".join(f"{key}\n{envelope[key]}\n" for key in signed if key in envelope)
    try:
        certificate = load_pem_x509_certificate(_certificate(url, get))
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise BadSignature("the certificate is not valid at this time")
        key = certificate.public_key()
        signature = base64.b64decode(envelope.get("Signature", ""), validate=True)
        if not isinstance(key, RSAPublicKey):
            raise BadSignature("the certificate's key is none of RSA")
        key.verify(signature, words.encode(), PKCS1v15(), algorithm)
    except (InvalidSignature, binascii.Error, ValueError) as error:
        raise BadSignature("the signature does not fit") from error
    return envelope


def confirm(envelope: Mapping[str, str], *, get: Fetch = fetch) -> None:
    """Confirm a subscription by a verified SubscriptionConfirmation. Raises Malformed, Unavailable."""
    url = envelope.get("SubscribeURL", "")
    if not is_of_sns(url, envelope["TopicArn"], query="Action=ConfirmSubscription&"):
        raise Malformed("the subscription is not confirmed at AWS")
    get(url)


def is_of_sns(url: str, topic: str, *, query: str = "") -> bool:
    """True for an https URL of the SNS host of this topic's region, without user or port, whose query begins with
    `query` ('': which has none).

    Hosts that only look similar do not count: `sns.s3.amazonaws.com` is somebody's bucket.
    """
    arn = _TOPIC.fullmatch(topic)
    if arn is None:
        return False
    host = f"sns.{arn[1]}.amazonaws.com{'.cn' if arn[1].startswith('cn-') else ''}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = parts.scheme == "https" and parts.netloc == host and not parts.fragment
    return plain and (parts.query.startswith(query) if query else not parts.query)


def parse(envelope: Mapping[str, str]) -> list[Event]:
    """The events of a verified notification, one for each recipient; none for SES's own greeting. An unreadable
    notification becomes an event of kind UNKNOWN with the provider's words, at the envelope's time."""
    message = without_halves(envelope["Message"])  # the signature covers the message as it came: mended only now
    if message.startswith(_GREETING):
        return []
    raw = mapping(storable_document(message.encode()))
    mail, type_ = mapping(raw.get("mail")), str(raw.get("eventType") or raw.get("notificationType") or "")
    part, kind = _KINDS.get(type_, ("", EventKind.UNKNOWN))
    detail = mapping(raw.get(part))
    times = (detail.get("timestamp"), mail.get("timestamp"), envelope.get("Timestamp"))
    at = next((read for time in times if (read := iso_moment(time))), None)
    if at is None:
        return []
    tags, id_ = mapping(mail.get("tags")), text_of(envelope["MessageId"])
    recipients = _recipients(detail)
    # Without names the event is recorded for every recipient, and suppresses none of them.
    named = bool(recipients)
    recipients = recipients or _whole(kind, mail)
    meant, about_several = _kind(kind, detail), len(recipients) > 1
    return [
        Event(
            id=f"ses/{id_}/{number}",
            provider="ses",
            kind=meant,
            at=at,
            recipient=address,
            run_id=id_of(RunId, _tag(tags, RUN)),
            dispatch_id=id_of(DispatchId, _tag(tags, DISPATCH)),
            raw=json.dumps(raw) if raw else json.dumps(text_of(message, len(message))),
            hard=meant is EventKind.BOUNCED and (named or not about_several) and _blames_the_address(detail, own),
            reason=_reason(detail, own),
            # SES names all recipients at the domain of the complaint: one of them complained.
            note=f"one of {len(recipients)} named" if meant is EventKind.COMPLAINED and about_several else "",
            provider_id=text_of(mail.get("messageId")),
        )
        for number, (address, own) in enumerate(recipients)
    ]


def _whole(kind: EventKind, mail: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """All recipients of the mail. An open or click belongs to one of them; of several nobody knows which, so none is
    named."""
    everybody = _texts(mail.get("destination"))
    if kind in (EventKind.OPENED, EventKind.CLICKED) and len(everybody) > 1:
        everybody = []
    return [(address_in(address), {}) for address in everybody] or [("", {})]


def _kind(kind: EventKind, detail: Mapping[str, Any]) -> EventKind:
    """Our kind. An address on the account's own suppression list was never tried, whatever the type says."""
    if {detail.get("bounceSubType"), detail.get("complaintSubType")} & _NEVER_TRIED:
        return EventKind.REJECTED
    # Absence notes come as such bounces; their mails have arrived.
    if detail.get("bounceType") in ("Transient", "Undetermined") and detail.get("bounceSubType") in _PERHAPS_A_REPLY:
        return EventKind.DEFERRED
    if kind is EventKind.COMPLAINED and text_of(detail.get("complaintFeedbackType")).lower() in _NO_COMPLAINTS:
        return EventKind.FEEDBACK
    if kind is EventKind.UNKNOWN and detail.get("newTopicPreferences"):
        return _subscription(detail)
    return kind


def _subscription(detail: Mapping[str, Any]) -> EventKind:
    """The kind of an event of SES' own subscription management: all topics left, or taken up again."""
    left = mapping(detail.get("newTopicPreferences")).get("unsubscribeAll") is True
    before = mapping(detail.get("oldTopicPreferences")).get("unsubscribeAll") is True
    if left:
        return EventKind.UNSUBSCRIBED
    return EventKind.RESUBSCRIBED if before else EventKind.UNKNOWN


def _blames_the_address(detail: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    if detail.get("bounceType") != "Permanent" or detail.get("bounceSubType") in _NEVER_TRIED:
        return False
    words = text_of(own.get("diagnosticCode"), 2_000)
    if detail.get("bounceSubType") == "NoEmail":
        words = f"{words} (invalid address)".strip()
    return is_hard(None, text_of(own.get("status")), words, told_hard=True)


def _recipients(detail: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Each recipient, with the details that concern it alone."""
    for key in ("bouncedRecipients", "complainedRecipients", "delayedRecipients"):
        if isinstance(detail.get(key), list):
            recipients = [mapping(recipient) for recipient in detail[key]]
            return [
                (address, recipient)
                for recipient in recipients
                if (address := address_in(recipient.get("emailAddress")))
            ]
    return [(address_in(address), {}) for address in _texts(detail.get("recipients"))]


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _tag(tags: Mapping[str, Any], name: str) -> str | None:
    values = _texts(tags.get(name))
    return of_tag(values[0]) if values else None


def _reason(detail: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    words = [
        *(detail.get(key) for key in ("bounceType", "bounceSubType", "complaintFeedbackType", "delayType", "reason")),
        own.get("diagnosticCode") or detail.get("smtpResponse") or detail.get("errorMessage"),
    ]
    return ": ".join(text_of(word) for word in words if text_of(word))[:500]
