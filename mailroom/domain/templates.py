"""A stored template: subject, text and html with places for variables. Each change makes a new version of it.

A template may extend a layout and include partials, which are stored templates too. What it says with them is made when
it is saved, from their newest versions, and names these. What a person writes of it: template_sources.py. How it is
checked and made: template_checking.py.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.template_sources import TemplateSource


class TemplateKind(StrEnum):
    TEMPLATE = "template"  # of mails
    LAYOUT = "layout"  # what templates and layouts extend
    PARTIAL = "partial"  # what any of these include


@dataclass(frozen=True, slots=True)
class TemplateDraft(TemplateSource):
    """A template as requested."""

    kind: str = TemplateKind.TEMPLATE
    html_fields: Sequence[str] = ()  # the names whose values are HTML: `|safe` may stand behind them

    @property
    def source(self) -> TemplateSource:
        """What it says, without its kind."""
        return TemplateSource(**{one.name: getattr(self, one.name) for one in fields(TemplateSource)})


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a version has besides what it says. `owner`: as of Template."""

    version: int
    at: datetime
    by: str = ""
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One version of a template. `variables`: the names that it requires. `version` counts the changes, from 1.
    `updated_by`: who made this version. `owner`: the owner of the token that created the template; '' if any token with
    scope `mail` may change it.

    `html_fields`: the names whose values are HTML, those of its layout and partials too.

    `subject`, `text` and `html` are flat: layout, partials and preheader are in them, and the HTML is made of what
    stands for it. `written`: what they were made of; None if that is the same. `uses`: the versions that are in it, on
    all levels, which go `depth` deep.
    """

    name: str
    subject: str
    text: str
    html: str
    variables: frozenset[str]
    version: int
    updated_at: datetime
    updated_by: str = ""
    owner: str = ""
    kind: TemplateKind = TemplateKind.TEMPLATE
    html_fields: tuple[str, ...] = ()
    written: TemplateSource | None = None
    uses: tuple[PinnedTemplate, ...] = ()
    depth: int = 0

    @property
    def content(self) -> dict[str, str]:
        return {field: getattr(self, field) for field in FIELDS}

    @property
    def source(self) -> TemplateSource:
        """What a person wrote."""
        return self.written or TemplateSource(self.subject, self.text, self.html)

    @property
    def draft(self) -> TemplateDraft:
        """The request that would make it again."""
        return TemplateDraft(**asdict(self.source), kind=self.kind, html_fields=self.html_fields)

    def is_of(self, draft: TemplateDraft) -> bool:
        """True if the draft says the same, with its layout and partials as they were."""
        said = self.source == draft.source and self.kind == draft.kind
        return said and set(draft.html_fields) <= set(self.html_fields)

    @property
    def pin(self) -> PinnedTemplate:
        return PinnedTemplate(self.name, self.version)

    def says_as(self, other: "Template") -> bool:
        """True if the two differ in nothing but number, time and author."""
        return self == replace(other, version=self.version, updated_at=self.updated_at, updated_by=self.updated_by)
