"""The form of a stored template: from typed fields to a TemplateDraft, and back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from mailroom.domain.templates import Template, TemplateDraft, TemplateKind
from web.forms.base import DomainForm
from web.forms.fields import ChoiceField, HiddenTextField, LongTextField, RadioChoiceField, TextField

_KINDS: Final[Mapping[str, str]] = {
    TemplateKind.TEMPLATE: "Template: what an email says",
    TemplateKind.LAYOUT: "Layout: the frame around templates",
    TemplateKind.PARTIAL: "Partial: a piece that templates include",
}
_CODE: Final[dict[str, Any]] = {"class": "code", "spellcheck": "false"}  # type: ignore[explicit-any]  # WTForms' own
_BETWEEN: Final = re.compile(r"[\s,;]+")  # two names


class TemplateForm(DomainForm):
    kind = RadioChoiceField("Kind", choices=_KINDS, default=TemplateKind.TEMPLATE)
    name = TextField("Name", description="Small letters, digits, - and _. It cannot be changed later.")
    layout = ChoiceField(
        "Layout", choices={}, description="Text and HTML stand in its block named content. MJML stands in none."
    )
    subject = TextField("Subject", description="Merge fields in double braces: Hello {{ name }}")
    preheader = TextField("Preheader", description="Optional. An inbox shows it behind the subject.")
    text = LongTextField(
        "Text",
        render_kw=_CODE,
        description="If it is empty, it is made from the HTML, unless the schedule sends no text part.",
    )
    html = LongTextField("HTML", render_kw=_CODE, description="Opens can only be counted in HTML.")
    markdown = LongTextField("Markdown", render_kw=_CODE, description="In place of HTML, which is made of it.")
    mjml = LongTextField("MJML", render_kw=_CODE, description="In place of HTML: a document of mjml.io, made HTML.")
    html_fields = TextField(
        "Merge fields that hold HTML",
        description="Optional, separated by commas. {{ body|safe }} shows such a field as HTML, sanitized.",
    )
    version = HiddenTextField()

    @classmethod
    def of(cls, template: Template, *, seen_version: int) -> "TemplateForm":
        """A version to be edited. `seen_version`: the newest one; 0 of a template that is deleted."""
        more = {"kind": template.kind, "html_fields": ", ".join(template.html_fields), "version": str(seen_version)}
        return cls(data=asdict(template.source) | more)

    def offer(self, layouts: Sequence[str]) -> None:
        """The layouts to choose from. A chosen one that is not among them stays."""
        self.layout.offer({"": "None"} | {name: name for name in layouts})

    @property
    def seen_version(self) -> int:
        """The version that the form was opened with; 0 of one that is new."""
        return int(self.version.data) if re.fullmatch("[0-9]{1,15}", self.version.data) else 0

    def draft(self) -> TemplateDraft:
        return TemplateDraft(
            subject=self.subject.data,
            text=self.text.data,
            html=self.html.data,
            markdown=self.markdown.data,
            mjml=self.mjml.data,
            preheader=self.preheader.data,
            layout=self.layout.data.strip(),
            kind=self.kind.data or "",
            html_fields=[name for name in _BETWEEN.split(self.html_fields.data) if name],
        )
