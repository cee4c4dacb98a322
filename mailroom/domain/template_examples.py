"""An example of a template's reader: the value of each merge field is the name of that field."""

from typing import Final

from mailroom.domain.audiences import Recipient, Value
from mailroom.domain.template_filling import UNSUBSCRIBE_URL
from mailroom.domain.templates import Template

_OF_EVERYBODY: Final = frozenset({"address", "name", UNSUBSCRIBE_URL})


def example_of(template: Template) -> Recipient:
    """Ann, with a value in each merge field that the template requires."""
    own: dict[str, Value] = {name: f"[{name}]" for name in sorted(template.variables - _OF_EVERYBODY)}
    return Recipient("ann@example.org", "Ann", own)
