"""Topics: what a reader gets and may leave, such as `newsletter`. A schedule has one, or none if its mail needs no
consent.

The id of a topic is also the scope of the suppression of a reader who has left it: see suppressions.py.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.addresses import NOT_IN_A_HEADER, breaks_header
from mailroom.domain.confirmations import NO_CONFIRMATION, Confirmation, check_confirmation
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_NAME, MAX_POSTAL_ADDRESS, MAX_TOPIC_ID
from mailroom.domain.suppressions import OF_CAMPAIGNS, OF_SINGLE_MAILS, SCOPES

# Also a label of the header List-Id: RFC 2919.
_ID: Final = re.compile(rf"[a-z0-9](?:[a-z0-9-]{{0,{MAX_TOPIC_ID - 2}}}[a-z0-9])?")


_EVER: Final = datetime.fromisoformat("2000-01-01T00:00:00+00:00")
_SIGNS: Final = frozenset("{}%")


@dataclass(frozen=True, slots=True)
class Topic:
    """`name`: as readers see it. `postal_address`: of the sender, for footers. `footer`: content without a link to
    unsubscribe gets a footer with the link and the postal address; otherwise such content is refused. `version` counts
    the changes, from 1. `double_opt_in`: who subscribes by form gets `confirmation`, and has joined once they follow
    its link."""

    id: str
    name: str
    postal_address: str
    footer: bool
    version: int
    created_at: datetime
    updated_at: datetime
    double_opt_in: bool = False
    confirmation: Confirmation = NO_CONFIRMATION


def unknown_topic(id_: str) -> Topic:
    """In place of a topic that mail names, and that the database does not know."""
    return Topic(id_, id_, "", False, 0, _EVER, _EVER)


def scopes_of_campaign(topic: str) -> frozenset[str]:
    """The scopes of suppressions that forbid a campaign's mail of this topic; '' without a topic."""
    return OF_CAMPAIGNS | {topic} if topic else OF_CAMPAIGNS


def scopes_of_mail(topic: str) -> frozenset[str]:
    """The same for a single mail."""
    return scopes_of_campaign(topic) if topic else OF_SINGLE_MAILS


def is_topic_id(text: str) -> bool:
    return text not in SCOPES and bool(_ID.fullmatch(text))


def check_topic(id_: str, raw: Mapping[str, object], *, version: int, created_at: datetime, now: datetime) -> Topic:
    """The topic in the form to store. Raises InvalidInput with every fault."""
    name, postal = str(raw.get("name") or "").strip(), str(raw.get("postal_address") or "").strip()
    footer, double_opt_in = bool(raw.get("footer")), bool(raw.get("double_opt_in"))
    confirmation, faults = check_confirmation(raw, topic=name, needed=double_opt_in)
    if id_ in SCOPES:
        faults.append(Fault("id", f"'{id_}' is the scope of suppressions of every topic; choose another id"))
    elif not is_topic_id(id_):
        words = f"1 to {MAX_TOPIC_ID} small letters, digits and -, with a letter or digit at both ends"
        faults.append(Fault("id", words))
    if not name or len(name) > MAX_NAME:
        faults.append(Fault("name", f"1 to {MAX_NAME} characters"))
    elif breaks_header(name):
        faults.append(Fault("name", NOT_IN_A_HEADER))
    # Braces and percent signs could begin an expression of the template that the footer becomes part of.
    if (
        len(postal) > MAX_POSTAL_ADDRESS
        or any(not line.isprintable() for line in postal.splitlines())
        or _SIGNS & {*postal}
    ):
        words = f"at most {MAX_POSTAL_ADDRESS} printable characters, without {{, }} and %"
        faults.append(Fault("postal_address", words))
    if footer and not postal:
        faults.append(Fault("postal_address", "a footer shows the sender's postal address: it is needed"))
    if faults:
        raise InvalidInput(*faults)
    return Topic(id_, name, postal, footer, version, created_at, now, double_opt_in, confirmation)


def asked_of(topic: Topic) -> dict[str, object]:
    """The fields that a request may give, as `check_topic` takes them."""
    confirmation = topic.confirmation
    return {
        "name": topic.name,
        "postal_address": topic.postal_address,
        "footer": topic.footer,
        "double_opt_in": topic.double_opt_in,
        "confirm_from": confirmation.sender,
        "confirm_subject": confirmation.subject,
        "confirm_text": confirmation.text,
        "confirm_html": confirmation.html,
        "confirm_within_s": confirmation.within_s,
    }
