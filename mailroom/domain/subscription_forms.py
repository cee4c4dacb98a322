"""The form by which readers subscribe: its HTML, to be put into any page, and the check of what it brings."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final

from mailroom.domain.addresses import MAX_ADDRESS, InvalidAddress, Mailbox, check_address, check_written, trimmed
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_RECIPIENT_NAME
from mailroom.domain.topics import Topic

PATH: Final = "/v1/subscribe"
FIELDS: Final = ("topic", "address", "name")
#: A field that people do not see, and programs that fill in every form do.
TRAP: Final = "homepage"
_AWAY: Final = "position:absolute;left:-9999px"


@dataclass(frozen=True, slots=True)
class FormInput:
    """What a visitor asks for. `address`: in the form to send to. `name`: '' for none."""

    topic: str
    address: str
    name: str


def check_input(raw: Mapping[str, object]) -> FormInput:
    """Raises InvalidInput with every fault; the topic may not exist."""
    faults = [Fault(field, "is a text") for field in FIELDS if not isinstance(raw.get(field, ""), str)]
    topic, address, name = (value.strip() if isinstance(value := raw.get(field, ""), str) else "" for field in FIELDS)
    if not topic and not faults:
        faults.append(Fault("topic", "is needed"))
    try:
        address = check_address(trimmed(address))
    except InvalidAddress as error:
        faults.append(Fault("address", str(error)))
    else:
        faults += _faults_of_name(address, name)
    if faults:
        raise InvalidInput(*{fault.path: fault for fault in reversed(faults)}.values())
    return FormInput(topic, address, name)


def form_html(topic: Topic, public_url: str) -> str:
    """The form of a topic: no script and no style sheet, a label for each field, usable beside others on one page."""
    name, prefix = escape(topic.name), f"subscribe-{topic.id}"
    return f"""\
<form method="post" action="{escape(public_url)}{PATH}">
  <input type="hidden" name="topic" value="{topic.id}">
  <p>
    <label for="{prefix}-address">Email address</label><br>
    <input id="{prefix}-address" name="address" type="email" autocomplete="email" maxlength="{MAX_ADDRESS}" required>
  </p>
  <p>
    <label for="{prefix}-name">Name (optional)</label><br>
    <input id="{prefix}-name" name="name" type="text" autocomplete="name" maxlength="{MAX_RECIPIENT_NAME}">
  </p>
  <p style="{_AWAY}" aria-hidden="true">
    <label for="{prefix}-{TRAP}">Leave this field empty</label>
    <input id="{prefix}-{TRAP}" name="{TRAP}" type="text" tabindex="-1" autocomplete="off">
  </p>
  <p><button type="submit">Subscribe to {name}</button></p>
</form>
"""


def _faults_of_name(address: str, name: str) -> list[Fault]:
    if len(name) > MAX_RECIPIENT_NAME or not name.isprintable():
        return [Fault("name", f"at most {MAX_RECIPIENT_NAME} printable characters")]
    try:
        check_written(Mailbox(address, name))
    except InvalidAddress as error:
        return [Fault("name", str(error))]
    return []
