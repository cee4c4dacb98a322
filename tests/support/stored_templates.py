"""Stored templates, as tests make them without a database."""

from collections.abc import Mapping
from typing import Any

from mailroom.domain.template_checking import check_template
from mailroom.domain.templates import Stamp, Template, TemplateDraft
from tests.support.builders import NOW


def saved(name: str, stored: Mapping[str, Template] | None = None, version: int = 1, **said: Any) -> Template:
    """Checked as it would be saved beside these stored ones. Raises InvalidInput."""
    subject = {"subject": "Hello"} if said.get("kind", "template") == "template" else {}
    return check_template(name, TemplateDraft(**subject | said), stored or {}, Stamp(version, NOW))


def library(**said: Mapping[str, Any]) -> dict[str, Template]:
    """Templates saved in this order, each over those before it."""
    stored: dict[str, Template] = {}
    for name, one in said.items():
        stored[name] = saved(name, stored, **one)
    return stored
