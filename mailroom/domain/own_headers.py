"""Headers of one's own, of single mails and campaigns: which may be set, and to what."""

import re
from collections.abc import Mapping
from typing import Final

from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_HEADER_NAME, MAX_HEADER_VALUE, MAX_HEADERS, MAX_HEADERS_BYTES
from mailroom.domain.list_headers import NAMES

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Headers that we or the provider set, or that another field carries.
_RESERVED: Final = frozenset(
    [
        *("from", "to", "cc", "bcc", "subject", "reply-to", "sender", "message-id", "date", "mime-version"),
        *("return-path", "received", "dkim-signature"),
    ]
)
#: Of the vendors' own control headers, and of headers that say how a mail is built or was passed on.
RESERVED_BEGINNINGS: Final = (
    *("x-sg-", "x-smtpapi", "x-mailgun-", "x-ses-", "x-pm-", "resend-"),
    *("content-", "resent-"),
)
_OF_TOPICS: Final = frozenset(name.lower() for name in NAMES)


def faults_of_headers(headers: Mapping[str, str]) -> list[Fault]:
    faults = []
    if len(headers) > MAX_HEADERS:
        faults.append(Fault("headers", f"at most {MAX_HEADERS}"))
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADERS_BYTES:
        faults.append(Fault("headers", f"at most {MAX_HEADERS_BYTES:,} characters together"))
    for name, value in headers.items():
        path = f"headers.{name}"
        if not _NAME.fullmatch(name) or len(name) > MAX_HEADER_NAME:
            faults.append(Fault(path, "is not a header's name"))
        elif name.lower() in _RESERVED or name.lower().startswith(RESERVED_BEGINNINGS):
            faults.append(Fault(path, "this header is not yours to set"))
        if not value.isascii() or not value.isprintable() or len(value) > MAX_HEADER_VALUE:
            faults.append(Fault(path, f"1 line of at most {MAX_HEADER_VALUE} printable ASCII characters"))
    return faults


def faults_beside_topic(headers: Mapping[str, str]) -> list[Fault]:
    """The faults of headers of mail with a topic."""
    return [Fault(f"headers.{name}", "the topic sets this") for name in headers if name.lower() in _OF_TOPICS]
