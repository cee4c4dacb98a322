"""A call to `/messages`, read and checked as Mailgun does: one bad recipient fails the whole call."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any, Final, Protocol

from simulator.files import File

MAX_RECIPIENTS: Final = 1000
MAX_OPTIONS_BYTES: Final = 16 * 1024
_ADDRESS: Final = re.compile(r"""([^@\s<>,;:"()\[\]\\]+|"[^@\s"\\]+")@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+""")
_PLACEHOLDER: Final = re.compile(r"%recipient(?:\.([A-Za-z0-9_.-]+)|_(email|name|fname|lname))?%")


class Refused(Exception):
    """A 400 with Mailgun's words."""


class Form(Protocol):
    def getlist(self, key: str) -> list[str]: ...
    def keys(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Call:
    """What a checked call asks for."""

    sender: str
    to: Sequence[tuple[str, str]]  # (name, address), each address once
    copies: Sequence[str]  # cc and bcc
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    variables: Mapping[str, str]
    tags: Sequence[str]
    recipient_variables: Mapping[str, Mapping[str, Any]] | None
    test_mode: bool
    deliver_at: float | None = None
    shown: Mapping[str, str] = field(default_factory=dict)  # the To and Cc headers that everybody sees
    files: Sequence[File] = ()


def read_call(form: Form, *, refused_addresses: Sequence[str] = (), files: Sequence[File] = ()) -> Call:
    """Raises Refused with the words that Mailgun answers."""
    if not _first(form, "from") and not _first(form, "template"):
        raise Refused("from parameter is missing")
    to = _addresses(form, "to")
    if not to:
        raise Refused("to parameter is missing")
    copies = _addresses(form, "cc") + _addresses(form, "bcc")
    refused = {address.lower() for address in refused_addresses}
    if any(not _ADDRESS.fullmatch(a) or a.lower() in refused for _, a in [*to, *copies]):
        raise Refused("to parameter is not a valid address. please check documentation")
    if not any(_first(form, name) for name in ("text", "html", "amp-html", "template")):
        raise Refused("Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified")
    if _first(form, "html") and _first(form, "template"):
        raise Refused("Only one parameters 'html' or 'template' is allowed")
    if len(to) + len(copies) > MAX_RECIPIENTS:
        raise Refused(f"Too many recipients, max is {MAX_RECIPIENTS}")
    _check_options(form)
    return Call(
        sender=_first(form, "from"),
        to=to,
        copies=[address for _, address in copies],
        subject=_first(form, "subject"),
        text=_first(form, "text"),
        html=_first(form, "html"),
        headers=_prefixed(form, "h:"),
        variables=_prefixed(form, "v:"),
        tags=list(dict.fromkeys(tag.lower() for tag in form.getlist("o:tag")))[:3],
        recipient_variables=_recipient_variables(form),
        test_mode=_first(form, "o:testmode") in ("yes", "true", "True"),
        deliver_at=_deliver_at(_first(form, "o:deliverytime")),
        shown={
            "to": _first(form, "shown-to") or _as_header(to),
            "cc": _first(form, "shown-cc") or _as_header(_addresses(form, "cc")),
        },
        files=files,
    )


def _as_header(mailboxes: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} <{address}>" if name else address for name, address in mailboxes)


def fill_in(text: str, name: str, address: str, variables: Mapping[str, Any]) -> str:
    """Mailgun's substitutions for one recipient; an unknown one stays as it stands."""
    special = {
        "email": address,
        "name": name,
        "fname": name.split(" ")[0],
        "lname": name.split(" ")[-1] if " " in name else "",
    }

    def value(match: re.Match[str]) -> str:
        if match[1]:
            return str(variables.get(match[1], match[0]))
        return special[match[2]] if match[2] else (f"{name} <{address}>" if name else address)

    return _PLACEHOLDER.sub(value, text)


def _first(form: Form, name: str) -> str:
    values = form.getlist(name)
    return values[0] if values else ""


def _addresses(form: Form, name: str) -> list[tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for value in filter(str.strip, form.getlist(name)):
        parsed = getaddresses([value])
        if not parsed or any(not address for _, address in parsed):
            raise Refused(f"{name} parameter is not a valid address. please check documentation")
        for shown, address in parsed:
            found.setdefault(address.lower(), (shown, address))  # duplicates are ignored
    return list(found.values())


def _deliver_at(text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text) if text.isdigit() else parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        raise Refused("deliverytime parameter is not a valid RFC 2822 date") from None


def _prefixed(form: Form, prefix: str) -> dict[str, str]:
    found = {key[len(prefix) :]: _first(form, key) for key in form.keys() if key.startswith(prefix)}  # noqa: SIM118
    if prefix == "h:" and any(not name.isascii() for name in found):
        raise Refused("Header name must be pure ASCII")
    return found


def _check_options(form: Form) -> None:
    size = sum(
        len(key.encode()) + len(value.encode())
        for key in form.keys()  # noqa: SIM118
        if key.startswith(("o:", "h:", "v:", "t:"))
        for value in form.getlist(key)
    )
    if size > MAX_OPTIONS_BYTES:
        raise Refused("Options size is too big, max is 16KB")


def _recipient_variables(form: Form) -> dict[str, dict[str, Any]] | None:
    text = _first(form, "recipient-variables")
    if not text:
        return None
    try:
        parsed = json.loads(text)
        return {address.lower(): dict(values) for address, values in parsed.items()}
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise Refused("'recipient-variables' parameter is not a valid JSON") from None
