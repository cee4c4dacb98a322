"""Stored templates in JSON."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_TEMPLATE
from mailroom.domain.template_filling import FIELDS
from mailroom.domain.templates import Template, check_template
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import PageOut
from scheduler_api.schemas.runs import iso


class TemplateIn(RequestBody):
    subject = fields.String(required=True, validate=validate.Length(max=MAX_TEMPLATE))
    text = fields.String(validate=validate.Length(max=MAX_TEMPLATE))
    html = fields.String(validate=validate.Length(max=MAX_TEMPLATE))


class TemplateSummary(Schema):
    name = fields.String()
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
        "variables": sorted(template.variables),
        "version": template.version,
        "updated_at": iso(template.updated_at),
        "updated_by": template.updated_by or None,
        "owner": template.owner or None,
    }


def whole(template: Template) -> dict[str, Any]:
    return summary(template) | template.content


def further_faults(name: str, asked: Mapping[str, Any]) -> Sequence[Fault]:
    """The domain's faults of a template of which a part is no text."""
    content = {field: asked[field] if isinstance(asked.get(field), str) else "x" for field in FIELDS}
    try:
        check_template(name, content, version=1, now=datetime.now(UTC))
    except InvalidInput as error:
        return error.faults
    return ()
