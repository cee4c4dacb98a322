"""A stored template of single mails: subject, text and html with places for variables."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from mailroom.domain.content import names_in
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.template_filling import FIELDS

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Template:
    """`variables`: the names that the template requires. `version` counts the changes, from 1. `owner`: the owner of
    the token that created the template; '' if any token with scope `mail` may change it."""

    name: str
    subject: str
    text: str
    html: str
    variables: frozenset[str]
    version: int
    updated_at: datetime
    owner: str = ""

    @property
    def content(self) -> dict[str, str]:
        return {field: getattr(self, field) for field in FIELDS}


def check_template(name: str, content: Mapping[str, str], *, version: int, now: datetime, owner: str = "") -> Template:
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
    return Template(name, **texts, variables=variables, version=version, updated_at=now, owner=owner)
