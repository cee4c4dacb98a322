"""Stored templates in JSON."""

from collections.abc import Mapping
from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.limits import MAX_HTML_FIELDS, MAX_TEMPLATE
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.templates import Template, TemplateDraft, TemplateKind
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import PageOut
from scheduler_api.schemas.runs import iso

_KIND_DOC: Final = "template if left out; templates extend a layout, and all include partials"
_HTML_DOC: Final = "the names whose values are HTML: {{ body|safe }} gives them sanitized, not escaped"
_SUBJECT_DOC: Final = "of a template, which needs one"


class TemplateIn(RequestBody):
    kind = fields.String(validate=validate.OneOf(list(TemplateKind)), metadata={"description": _KIND_DOC})
    subject = fields.String(validate=validate.Length(max=MAX_TEMPLATE), metadata={"description": _SUBJECT_DOC})
    text = fields.String(validate=validate.Length(max=MAX_TEMPLATE))
    html = fields.String(validate=validate.Length(max=MAX_TEMPLATE))
    html_fields = fields.List(
        fields.String(), validate=validate.Length(max=MAX_HTML_FIELDS), metadata={"description": _HTML_DOC}
    )


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
    return summary(template) | template.source


def stand_in(asked: Mapping[str, Any], good: Mapping[str, Any]) -> TemplateDraft:
    """A template of which a part is no text, with stand-ins for these parts: to look for faults in the others."""
    kind = good.get("kind", TemplateKind.TEMPLATE)
    texts = {name: asked[name] if isinstance(asked[name], str) else "x" for name in FIELDS if name in asked}
    return TemplateDraft(**texts, kind=kind, html_fields=good.get("html_fields", ()))
