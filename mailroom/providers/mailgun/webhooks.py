"""Mailgun's webhooks: verify the signature, then parse the event into ours.

Source: documentation.mailgun.com, "Securing webhooks" and "Event structure" (read 2026-11). The signature covers only
timestamp and token, not the event: a person who captures one request could reuse both with a forged event. So the token
is stored (it may come with one event only), and its age is bounded, by more than the span of Mailgun's retries.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any, Final

from mailroom.domain.bounces import is_hard
from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId, dispatch_of_rfc_message_id
from mailroom.providers.mending import storable_document
from mailroom.providers.parsing import address_in, id_of, mapping, moment, text_of
from mailroom.providers.webhooks import BadSignature, Delivery, Malformed, Stale, Verified, WebhookFace

MAX_AGE: Final = timedelta(hours=12)  # Mailgun retries for about 8 hours
MAX_AHEAD: Final = timedelta(minutes=5)

_KINDS: Final = {
    "accepted": EventKind.ACCEPTED,
    "delivered": EventKind.DELIVERED,
    "opened": EventKind.OPENED,
    "clicked": EventKind.CLICKED,
    "unsubscribed": EventKind.UNSUBSCRIBED,
    "complained": EventKind.COMPLAINED,
    "rejected": EventKind.REJECTED,
}
# What `failed` means depends on its severity and reason; the reasons are an open set.
_SUPPRESSED: Final = {"suppress-bounce", "suppress-complaint", "suppress-unsubscribe"}
# Reasons that blame the sender, the route or the time it took, whatever the words beside them.
_OF_OTHERS: Final = {"espblock", "blacklisted", "greylisted", "old"}
_MOST_WORDS: Final = 2_000
_SIGNATURE: Final = b'"signature"'
_MOST_PLACES: Final = 8  # the word may stand in the event's own data too
_MOST_BYTES: Final = 1_024


class MailgunWebhooks(WebhookFace):
    """The webhooks of one sending domain. Several keys are accepted side by side while one is being rotated."""

    name = "mailgun"
    refused_for_good = 406
    one_event = True

    def __init__(self, *, domain: str, signing_keys: Sequence[str]) -> None:
        self._domain, self._keys = domain, signing_keys

    def verify(self, delivery: Delivery) -> Verified:
        def require_signed() -> None:
            verify_within(delivery.body, self._keys, now=delivery.at)

        document = storable_document(delivery.body, require_signed)
        verify(document, self._keys, now=delivery.at)
        return Verified(document, delivery.at)

    def parse(self, verified: Verified) -> Sequence[Event]:
        return [parse(verified.document, self._domain)]


def verify(document: Any, signing_keys: Sequence[str], *, now: datetime) -> None:
    """Check the signature and its age. Raises Malformed, BadSignature or Stale."""
    signature = document.get("signature") if isinstance(document, dict) else None
    if not isinstance(signature, dict):
        raise Malformed("there is no signature")
    timestamp, token, given = (signature.get(name) for name in ("timestamp", "token", "signature"))
    if not (isinstance(timestamp, str) and isinstance(token, str) and isinstance(given, str)) or len(token) > 200:
        raise Malformed("timestamp, token and signature are three strings")
    signed = (timestamp + token).encode()
    expected = (hmac.digest(key.encode(), signed, "sha256").hex() for key in signing_keys)
    # All keys are compared, so that the time taken reveals nothing.
    if not any([hmac.compare_digest(right.encode(), given.encode()) for right in expected]):  # noqa: C419
        raise BadSignature("the signature fits none of our keys")
    age = now - _time(timestamp)
    if not -MAX_AHEAD <= age <= MAX_AGE:
        raise Stale(f"signed {age} ago")


def verify_within(raw: bytes, signing_keys: Sequence[str], *, now: datetime) -> None:
    """Check the signature in a body that is no JSON as it stands, without reading the rest of the body.

    Raises as `verify` does: Malformed if no signature can be read at all.
    """
    fault: Exception = Malformed("there is no signature")
    at = raw.find(_SIGNATURE)
    for _ in range(_MOST_PLACES):
        if at < 0:
            break
        piece, _, _ = raw[at : at + _MOST_BYTES].partition(b"}")
        try:
            verify(json.loads(b"{" + piece + b"}}"), signing_keys, now=now)
            return
        except (BadSignature, Stale) as error:
            fault = error
        except (Malformed, ValueError, RecursionError):
            pass
        at = raw.find(_SIGNATURE, at + 1)
    raise fault


def parse(document: Mapping[str, Any], domain: str) -> Event:
    """The event of a verified webhook. Its signature supplies a missing id or time. Raises Malformed if there is no
    event at all."""
    raw, signature = document.get("event-data"), mapping(document.get("signature"))
    if not isinstance(raw, dict):
        raise Malformed("there is no event-data")
    token = text_of(signature.get("token"))
    envelope = {"id": f"token-{token}", "timestamp": signature.get("timestamp")}
    return _event(raw, domain, envelope, f"mailgun/{token}")


def parse_event(raw: dict[str, Any], domain: str) -> Event:
    """One item of the events API. Everything but kind, id and time may be absent. Raises Malformed."""
    return _event(raw, domain, {}, None)


def _event(raw: dict[str, Any], domain: str, envelope: Mapping[str, Any], replay_key: str | None) -> Event:
    """`envelope`: an id and a time for an event without its own."""
    id_ = text_of(raw.get("id")) or envelope.get("id")
    at = moment(raw.get("timestamp")) or moment(envelope.get("timestamp"))
    if not id_ or at is None:
        raise Malformed("an event needs an id and a time")
    variables = mapping(raw.get("user-variables"))
    status = mapping(raw.get("delivery-status"))
    code, kind = status.get("code"), _kind(raw)
    message_id = text_of(_headers(raw).get("message-id")).strip("<>")
    return Event(
        # Ids are unique only within one day: domain and time make them unique for good.
        id=f"mailgun/{domain}/{id_}/{int(at.timestamp() * 1000)}",
        provider="mailgun",
        kind=kind,
        at=at,
        recipient=_recipient(raw),
        run_id=id_of(RunId, variables.get("run")),
        # Our Message-Id holds the dispatch too, if the variables are missing.
        dispatch_id=id_of(DispatchId, variables.get("dispatch") or dispatch_of_rfc_message_id(message_id)),
        raw=json.dumps(raw),
        by_machine=_by_machine(raw),
        delayed=bool(mapping(raw.get("flags")).get("is-delayed-bounce")),
        hard=kind is EventKind.BOUNCED and _blames_the_address(raw, status),
        code=code if isinstance(code, int) and 0 <= code <= 9_999 else None,
        reason=_reason(raw, status),
        provider_id=message_id,
        replay_key=replay_key,
    )


def _by_machine(raw: Mapping[str, Any]) -> bool:
    """True for a mail proxy, a scanner or a robot: `bot` names it, or the type of client does."""
    client = mapping(raw.get("client-info"))
    return bool(client.get("bot")) or client.get("client-type") == "robot"


def _kind(raw: Mapping[str, Any]) -> EventKind:
    name = raw.get("event")
    if name == "unsubscribed" and _by_machine(raw):
        return EventKind.UNSUBSCRIBED_BY_MACHINE
    if name != "failed":
        return _KINDS.get(name, EventKind.UNKNOWN) if isinstance(name, str) else EventKind.UNKNOWN
    if raw.get("severity") == "temporary":
        return EventKind.DEFERRED
    if raw.get("severity") != "permanent":
        return EventKind.UNKNOWN
    return EventKind.REJECTED if raw.get("reason") in _SUPPRESSED else EventKind.BOUNCED


def _blames_the_address(raw: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """True for a permanent bounce that blames the address itself: see domain/bounces.py."""
    if raw.get("reason") in _OF_OTHERS or str(status.get("bounce-type")).lower() == "soft":
        return False
    code = status.get("bounce-code") or status.get("code")
    number = int(code) if isinstance(code, int | str) and str(code).isdecimal() and len(str(code)) < 5 else None
    words = " ".join(text_of(status.get(name), _MOST_WORDS) for name in ("message", "description"))
    told_hard = raw.get("reason") in ("bounce", "hardfail")
    return is_hard(number, text_of(status.get("enhanced-code")), words.strip(), told_hard=told_hard)


def _headers(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    return mapping(mapping(raw.get("message")).get("headers"))


def _recipient(raw: Mapping[str, Any]) -> str:
    """`rejected` has no recipient of its own: the message's To header names it."""
    if address := address_in(raw.get("recipient")):
        return address
    return parseaddr(text_of(_headers(raw).get("to")))[1]


def _reason(raw: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    reasons = [
        raw.get("reason"),
        status.get("description") or status.get("message"),
        mapping(raw.get("reject")).get("reason"),
    ]
    return ": ".join(text_of(reason) for reason in reasons if text_of(reason))[:500]


def _time(value: Any) -> datetime:
    at = moment(value)
    if at is None:
        raise Malformed("the timestamp is no time of mail")
    return at
