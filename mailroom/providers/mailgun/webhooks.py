"""Mailgun's webhooks: verify the signature over the raw words, then parse the event into ours.

Source: documentation.mailgun.com, "Securing webhooks" and "Event structure" (read 2026-11). The signature covers only
timestamp and token, not the event: whoever captures one request could reuse both with a forged event. So the
token is kept (it comes once, with one event) and its age is bounded by more than the span of Mailgun's retries.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any, Final

from mailroom.domain.events import Event, EventKind
from mailroom.domain.ids import DispatchId, RunId
from mailroom.providers.reading import MAX_FIELD, NOT_THE_ADDRESS, id_of, mapping, moment

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


class BadSignature(Exception):
    """The signature does not fit any of our keys."""


class Stale(Exception):
    """The signature fits, but it is older than any retry, or from the future."""


class Malformed(Exception):
    """This is no event of Mailgun's; sending it again would not help."""


def verify(document: Any, signing_keys: Sequence[str], *, now: datetime) -> str:
    """Check the signature and its age. Returns the one-time token.

    Raises Malformed, BadSignature or Stale. Several keys are accepted side by side while one is being rotated.
    """
    signature = document.get("signature") if isinstance(document, dict) else None
    if not isinstance(signature, dict):
        raise Malformed("there is no signature")
    timestamp, token, given = (signature.get(name) for name in ("timestamp", "token", "signature"))
    if not (isinstance(timestamp, str) and isinstance(token, str) and isinstance(given, str)) or len(token) > 200:
        raise Malformed("timestamp, token and signature are three strings")
    expected = (
        hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest() for key in signing_keys
    )
    # Every key is compared, so that the time taken tells nothing.
    if not any([hmac.compare_digest(right.encode(), given.encode()) for right in expected]):  # noqa: C419
        raise BadSignature("the signature fits none of our keys")
    age = now - _time(timestamp)
    if not -MAX_AHEAD <= age <= MAX_AGE:
        raise Stale(f"signed {age} ago")
    return token


def parse(document: Mapping[str, Any], domain: str, token: str) -> Event:
    """The event of a verified webhook. Raises Malformed."""
    raw = document.get("event-data")
    if not isinstance(raw, dict):
        raise Malformed("there is no event-data")
    return parse_event(raw, domain, replay_key=f"mailgun/{token}")


def parse_event(raw: dict[str, Any], domain: str, *, replay_key: str | None = None) -> Event:
    """One item of the events API or of a webhook. Everything but kind, id and time may be absent. Raises Malformed."""
    name, id_ = raw.get("event"), raw.get("id")
    if not isinstance(name, str) or not isinstance(id_, str) or not 0 < len(id_) <= MAX_FIELD:
        raise Malformed("event and id are two strings")
    at = _time(raw.get("timestamp"))
    variables = mapping(raw.get("user-variables"))
    status = mapping(raw.get("delivery-status"))
    code = status.get("code")
    return Event(
        # Ids are unique only within one day: domain and time make them unique for good.
        id=f"mailgun/{domain}/{id_}/{int(at.timestamp() * 1000)}",
        provider="mailgun",
        kind=_kind(name, raw),
        at=at,
        recipient=_recipient(raw),
        run_id=id_of(RunId, variables.get("run")),
        dispatch_id=id_of(DispatchId, variables.get("dispatch")),
        raw=json.dumps(raw),
        by_machine=bool(mapping(raw.get("client-info")).get("bot")),
        delayed=bool(mapping(raw.get("flags")).get("is-delayed-bounce")),
        hard=_blames_the_address(raw, status),
        code=code if isinstance(code, int) and 0 <= code <= 9_999 else None,
        reason=_reason(raw, status),
        replay_key=replay_key,
    )


def _kind(name: str, raw: Mapping[str, Any]) -> EventKind:
    if name != "failed":
        return _KINDS.get(name, EventKind.UNKNOWN)
    if raw.get("severity") == "temporary":
        return EventKind.DEFERRED
    if raw.get("severity") != "permanent":
        return EventKind.UNKNOWN
    return EventKind.REJECTED if raw.get("reason") in _SUPPRESSED else EventKind.BOUNCED


def _blames_the_address(raw: Mapping[str, Any], status: Mapping[str, Any]) -> bool:
    """A permanent bounce that says something about the address, not about this mail or our reputation (RFC 3463)."""
    if raw.get("severity") != "permanent" or raw.get("reason") not in ("bounce", "hardfail"):
        return False
    enhanced = str(status.get("enhanced-code") or "")
    return not enhanced.startswith(NOT_THE_ADDRESS)


def _recipient(raw: Mapping[str, Any]) -> str:
    """`rejected` has no recipient of its own: it stands in the message's To header."""
    recipient = raw.get("recipient")
    if not isinstance(recipient, str):
        header = mapping(mapping(raw.get("message")).get("headers")).get("to")
        recipient = parseaddr(header[:MAX_FIELD])[1] if isinstance(header, str) else ""
    return recipient[:MAX_FIELD]


def _reason(raw: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    told = [
        raw.get("reason"),
        status.get("description") or status.get("message"),
        mapping(raw.get("reject")).get("reason"),
    ]
    return ": ".join(str(word) for word in told if isinstance(word, str) and word)[:500]


def _time(value: Any) -> datetime:
    found = moment(value)
    if found is None:
        raise Malformed("the timestamp is no time of mail")
    return found
