"""Amazon SES's notifications: an envelope of Amazon SNS, verified, and the SES event that it carries.

Source: docs.aws.amazon.com, "Verifying the signatures of Amazon SNS messages", "Parsing Amazon SNS message formats" and
"Contents of event data that Amazon SES publishes to Amazon SNS" (read 2026-11). Anybody gets a valid signature of AWS
for a topic of their own: only topics that we name are believed, and the certificate comes from AWS' own hosts alone.
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
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import load_pem_x509_certificate

from mailroom.domain.bounces import is_hard
from mailroom.domain.errors import Unavailable
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.parsing import address_in, id_of, json_of, mapping, text_of
from mailroom.providers.ses.tags import DISPATCH, RUN, of_tag
from mailroom.providers.webhooks import BadSignature, Malformed

NOTIFICATION: Final = "Notification"
CONFIRMATION: Final = "SubscriptionConfirmation"
_TOPIC: Final = re.compile(r"arn:aws[a-z-]*:sns:([a-z0-9-]{1,40}):\d{12}:[A-Za-z0-9_-]{1,256}")
_CERTIFICATE: Final = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")
_SIGNED: Final = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
# SHA-1 is what SNS signs version 1 with, its default.
_HASHES: Final = {"1": SHA1(), "2": SHA256()}  # noqa: S303
_FETCH_S: Final = 10
_MOST_BYTES: Final = 64 * 1024
Fetch = Callable[[str], bytes]

# The key under which an event of each type keeps its own part, and what it is in our words.
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
# Feedback (RFC 5965, RFC 6591) by which nobody complains.
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


@lru_cache(maxsize=16)
def _certificate(url: str, get: Fetch) -> bytes:
    return get(url)


def verify(document: Any, topics: Sequence[str], *, now: datetime, get: Fetch = fetch) -> Mapping[str, str]:
    """The envelope, all of whose values are texts. Raises Malformed, BadSignature, or Unavailable where the certificate
    cannot be fetched."""
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
    """Say yes to a verified SubscriptionConfirmation. Raises Malformed, Unavailable."""
    url = envelope.get("SubscribeURL", "")
    if not is_of_sns(url, envelope["TopicArn"], query="Action=ConfirmSubscription&"):
        raise Malformed("the subscription is not confirmed at AWS")
    get(url)


def is_of_sns(url: str, topic: str, *, query: str = "") -> bool:
    """True for an https URL of the very host of this topic's region, with nothing hidden in it, whose query begins so.

    Not any host that looks like one: `sns.s3.amazonaws.com` is somebody's bucket.
    """
    found = _TOPIC.fullmatch(topic)
    if found is None:
        return False
    host = f"sns.{found[1]}.amazonaws.com{'.cn' if found[1].startswith('cn-') else ''}"
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = parts.scheme == "https" and parts.netloc == host and not parts.fragment
    return plain and (parts.query.startswith(query) if query else not parts.query)


def parse(envelope: Mapping[str, str]) -> list[Event]:
    """The events of a verified notification, one a recipient; none for SES's own greeting. A notification that cannot
    be read becomes an event of kind UNKNOWN with the provider's own words, at the envelope's time."""
    message = envelope["Message"]
    if message.startswith(_GREETING):
        return []
    raw = mapping(json_of(message))
    mail, type_ = mapping(raw.get("mail")), str(raw.get("eventType") or raw.get("notificationType") or "")
    part, kind = _KINDS.get(type_, ("", EventKind.UNKNOWN))
    told = mapping(raw.get(part))
    times = (told.get("timestamp"), mail.get("timestamp"), envelope.get("Timestamp"))
    at = next((read for time in times if (read := _time(time))), None)
    if at is None:
        return []
    tags, id_ = mapping(mail.get("tags")), text_of(envelope["MessageId"])
    found = _recipients(told)
    # Without names the event is told of every recipient, and held against none of them.
    named = bool(found)
    found = found or _whole(kind, mail)
    meant, about_several = _kind(kind, told), len(found) > 1
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
            hard=meant is EventKind.BOUNCED and (named or not about_several) and _blames_the_address(told, about),
            reason=_reason(told, about),
            # SES names everybody at the domain that complained: one of them did.
            note=f"one of {len(found)} named" if meant is EventKind.COMPLAINED and about_several else "",
            provider_id=text_of(mail.get("messageId")),
        )
        for number, (address, about) in enumerate(found)
    ]


def _whole(kind: EventKind, mail: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Everybody to whom the mail went. Opens and clicks are of one of them: of whom, where there are several, nobody
    can say."""
    everybody = _texts(mail.get("destination"))
    if kind in (EventKind.OPENED, EventKind.CLICKED) and len(everybody) > 1:
        everybody = []
    return [(address_in(address), {}) for address in everybody] or [("", {})]


def _kind(kind: EventKind, told: Mapping[str, Any]) -> EventKind:
    """What stands on the account's own list was never tried, whatever it is called."""
    if {told.get("bounceSubType"), told.get("complaintSubType")} & _NEVER_TRIED:
        return EventKind.REJECTED
    # Absence notes and their like come as such a bounce, of mails that have arrived.
    if told.get("bounceType") in ("Transient", "Undetermined") and told.get("bounceSubType") in _PERHAPS_A_REPLY:
        return EventKind.DEFERRED
    if kind is EventKind.COMPLAINED and text_of(told.get("complaintFeedbackType")).lower() in _NO_COMPLAINTS:
        return EventKind.FEEDBACK
    if kind is EventKind.UNKNOWN and told.get("newTopicPreferences"):
        return _subscription(told)
    return kind


def _subscription(told: Mapping[str, Any]) -> EventKind:
    """The kind of an event of SES' own subscription management: all topics left, or taken up again."""
    left = mapping(told.get("newTopicPreferences")).get("unsubscribeAll") is True
    before = mapping(told.get("oldTopicPreferences")).get("unsubscribeAll") is True
    if left:
        return EventKind.UNSUBSCRIBED
    return EventKind.RESUBSCRIBED if before else EventKind.UNKNOWN


def _blames_the_address(told: Mapping[str, Any], about: Mapping[str, Any]) -> bool:
    if told.get("bounceType") != "Permanent" or told.get("bounceSubType") in _NEVER_TRIED:
        return False
    words = text_of(about.get("diagnosticCode"), 2_000)
    if told.get("bounceSubType") == "NoEmail":
        words = f"{words} (invalid address)".strip()
    return is_hard(None, text_of(about.get("status")), words, told_hard=True)


def _recipients(told: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Each recipient with what is said of it alone."""
    for key in ("bouncedRecipients", "complainedRecipients", "delayedRecipients"):
        if isinstance(told.get(key), list):
            each = [mapping(one) for one in told[key]]
            return [(address, one) for one in each if (address := address_in(one.get("emailAddress")))]
    return [(address_in(address), {}) for address in _texts(told.get("recipients"))]


def _texts(value: Any) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _tag(tags: Mapping[str, Any], name: str) -> str | None:
    values = _texts(tags.get(name))
    return of_tag(values[0]) if values else None


def _reason(told: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    words = [
        *(told.get(key) for key in ("bounceType", "bounceSubType", "complaintFeedbackType", "delayType", "reason")),
        about.get("diagnosticCode") or told.get("smtpResponse") or told.get("errorMessage"),
    ]
    return ": ".join(text_of(word) for word in words if text_of(word))[:500]


def _time(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    aware = moment.tzinfo is not None and 2000 <= moment.year <= 2200
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000) if aware else None
