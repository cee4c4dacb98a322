"""How documents name the version of a template: `{name, version}`, absent where there was no template."""

from collections.abc import Mapping
from typing import Any

from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.storage.database import Document


def document_of(pin: PinnedTemplate | None) -> Document | None:
    return {"name": pin.name, "version": pin.version} if pin else None


def pin_of(doc: Mapping[str, Any] | None) -> PinnedTemplate | None:
    return PinnedTemplate(doc["name"], doc["version"]) if doc else None
