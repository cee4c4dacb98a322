"""Stored templates in JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_HTML_FIELDS, MAX_MARKDOWN, MAX_MJML, MAX_NAME, MAX_PREHEADER, MAX_TEMPLATE
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.templates import Template, TemplateDraft, TemplateKind
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import ListQuery, PageOut
from scheduler_api.schemas.instants import iso
from scheduler_api.schemas.searches import NAME_DOC

_KIND_DOC: Final = "template if left out; templates extend a layout, and all include partials"
_HTML_DOC: Final = "the names whose values are HTML: {{ body|safe }} gives them sanitized, not escaped"
_SUBJECT_DOC: Final = "of a template, which needs one"
_MARKDOWN_DOC: Final = "in place of html: a page is made of it, or with a layout what stands in its block content"
_MJML_DOC: Final = "in place of html: an MJML document (mjml.io), made HTML when it is saved"
_PREHEADER_DOC: Final = "what an inbox shows behind the subject; it stands in the HTML"
_LAYOUT_DOC: Final = "the layout in whose block content text and html stand, in place of {% extends %}"


class TemplateIn(RequestBody):
    kind = fields.String(validate=validate.OneOf(list(TemplateKind)), metadata={"description": _KIND_DOC})
    subject = fields.String(validate=validate.Length(max=MAX_TEMPLATE), metadata={"description": _SUBJECT_DOC})
    text = fields.String(validate=validate.Length(max=MAX_TEMPLATE))
    html = fields.String(validate=validate.Length(max=MAX_TEMPLATE))
    markdown = fields.String(validate=validate.Length(max=MAX_MARKDOWN), metadata={"description": _MARKDOWN_DOC})
    mjml = fields.String(validate=validate.Length(max=MAX_MJML), metadata={"description": _MJML_DOC})
    preheader = fields.String(validate=validate.Length(max=MAX_PREHEADER), metadata={"description": _PREHEADER_DOC})
    layout = fields.String(metadata={"description": _LAYOUT_DOC})
    html_fields = fields.List(
        fields.String(), validate=validate.Length(max=MAX_HTML_FIELDS), metadata={"description": _HTML_DOC}
    )


class TemplateQuery(ListQuery):
    name = fields.String(validate=validate.Length(max=MAX_NAME), metadata={"description": NAME_DOC})


class UsedTemplateOut(Schema):
    name = fields.String()
    version = fields.Integer()


class TemplateSummary(Schema):
    name = fields.String()
    kind = fields.String()
    uses = fields.List(
        fields.Nested(UsedTemplateOut), metadata={"description": "the versions of layouts and partials that are in it"}
    )
    html_fields = fields.List(fields.String(), metadata={"description": _HTML_DOC})
    variables = fields.List(fields.String(), metadata={"description": "the names that it asks for"})
    version = fields.Integer()
    updated_at = fields.String()
    updated_by = fields.String(allow_none=True)
    owner = fields.String(
        allow_none=True, metadata={"description": "of the token that made it; null: any `mail` token may change it"}
    )


class TemplateOut(TemplateSummary):
    subject = fields.String()
    text = fields.String()
    html = fields.String()
    markdown = fields.String(metadata={"description": _MARKDOWN_DOC})
    mjml = fields.String(metadata={"description": _MJML_DOC})
    preheader = fields.String(metadata={"description": _PREHEADER_DOC})
    layout = fields.String(metadata={"description": _LAYOUT_DOC})


class TemplatePage(PageOut):
    items = fields.List(fields.Nested(TemplateSummary))


def summary(template: Template) -> dict[str, Any]:
    return {
        "name": template.name,
        "kind": template.kind,
        "uses": [{"name": pin.name, "version": pin.version} for pin in template.uses],
        "html_fields": list(template.html_fields),
        "variables": sorted(template.variables),
        "version": template.version,
        "updated_at": iso(template.updated_at),
        "updated_by": template.updated_by or None,
        "owner": template.owner or None,
    }


def whole(template: Template) -> dict[str, Any]:
    return summary(template) | asdict(template.source)


_OTHERS: Final = ("markdown", "mjml", "preheader", "layout")


def stand_in(asked: Mapping[str, Any], good: Mapping[str, Any]) -> TemplateDraft:
    """A template of which a part is no text, with stand-ins for these parts: to look for faults in the others."""
    kind = good.get("kind", TemplateKind.TEMPLATE)
    texts = {name: asked[name] if isinstance(asked[name], str) else "x" for name in FIELDS if name in asked}
    others = {name: asked[name] for name in _OTHERS if isinstance(asked.get(name), str)}
    if {"markdown", "mjml"} & (asked.keys() - others.keys()):
        texts["text"] = texts.get("text") or "x"
    return TemplateDraft(**texts, **others, kind=kind, html_fields=good.get("html_fields", ()))
