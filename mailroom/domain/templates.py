"""A stored template: subject, text and html with places for variables. Each change makes a new version of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mailroom.domain.content import names_in
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.template_filling import FIELDS

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a template. `variables`: the names that it requires. `version` counts the changes, from 1.
    `updated_by`: who made this version. `owner`: the owner of the token that created the template; '' if any token with
    scope `mail` may change it."""

    name: str
    subject: str
    text: str
    html: str
    variables: frozenset[str]
    version: int
    updated_at: datetime
    updated_by: str = ""
    owner: str = ""

    @property
    def content(self) -> dict[str, str]:
        return {field: getattr(self, field) for field in FIELDS}

    @property
    def pin(self) -> PinnedTemplate:
        return PinnedTemplate(self.name, self.version)

    def says_as(self, other: "Template") -> bool:
        """True if the two differ in nothing but number, time and author."""
        return self == replace(other, version=self.version, updated_at=self.updated_at, updated_by=self.updated_by)


def check_template(
    name: str, content: Mapping[str, str], *, version: int, now: datetime, owner: str = "", by: str = ""
) -> Template:
    """The template in the form to store. Raises InvalidInput with every fault."""
    faults = []
    if not _NAME.fullmatch(name):
        faults.append(Fault("name", "1 to 64 small letters, digits, - and _"))
    if not content.get("subject", "").strip():
        faults.append(Fault("subject", "is needed"))
    if not content.get("text", "").strip() and not content.get("html", "").strip():
        faults.append(Fault("text", "a text or an HTML body is needed"))
    try:
        variables = names_in(content)
    except InvalidInput as error:
        faults += error.faults
    if faults:
        raise InvalidInput(*faults)
    texts = {field: content.get(field, "") for field in FIELDS}
    return Template(
        name=name, **texts, variables=variables, version=version, updated_at=now, updated_by=by, owner=owner
    )
