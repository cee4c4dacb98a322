"""`/v1/templates`: what single mails say, but for their variables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from flask import request, url_for
from marshmallow import Schema, fields, validate

from mailroom.domain.content import FIELDS
from mailroom.domain.errors import Fault, InvalidInput
from mailroom.domain.limits import MAX_TEMPLATE, MAX_TEMPLATE_BODY_BYTES
from mailroom.domain.templates import Template, check_template
from mailroom.services.mails import templates
from scheduler_api import paging
from scheduler_api.arguments import Blueprint, RequestBody
from scheduler_api.auth import principal, requires, services
from scheduler_api.headers import SEEN, etag, seen_version
from scheduler_api.schemas.runs import iso
from scheduler_api.schemas.schedules import ListQuery

blueprint = Blueprint("templates", __name__, url_prefix="/v1/templates", description="What single mails say.")


class TemplateIn(RequestBody):
    subject = fields.String(required=True, validate=validate.Length(max=MAX_TEMPLATE))
    text = fields.String(validate=validate.Length(max=MAX_TEMPLATE))
    html = fields.String(validate=validate.Length(max=MAX_TEMPLATE))


class TemplateSummary(Schema):
    name = fields.String()
    variables = fields.List(fields.String(), metadata={"description": "the names that it asks for"})
    version = fields.Integer()
    updated_at = fields.String()
    owner = fields.String(
        allow_none=True, metadata={"description": "of the token that made it; null: any `mail` token may change it"}
    )


class TemplateOut(TemplateSummary):
    subject = fields.String()
    text = fields.String()
    html = fields.String()


class TemplatePage(paging.PageOut):
    items = fields.List(fields.Nested(TemplateSummary))


@blueprint.get("")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, TemplatePage)
def index(query: dict[str, Any]) -> Any:
    """Templates by their names."""
    limit = query["limit"]
    found = templates.page(services().db, after=paging.decode_id(query.get("cursor")), limit=limit)
    return paging.page_of(found, limit, _summary, lambda one: [one.name])


@blueprint.get("/<name>")
@requires("read")
@blueprint.response(200, TemplateOut)
def show(name: str) -> Any:
    """One template. The ETag names its version."""
    return _answer(templates.get(services().db, name))


def _further(asked: dict[str, Any], _: dict[str, Any]) -> Sequence[Fault]:
    """The domain's faults of a template of which a part is no text."""
    content = {field: asked[field] if isinstance(asked.get(field), str) else "x" for field in FIELDS}
    try:
        check_template((request.view_args or {})["name"], content, version=1, now=datetime.now(UTC))
    except InvalidInput as error:
        return error.faults
    return ()


@blueprint.put("/<name>")
@blueprint.doc(parameters=[SEEN])
@requires("mail", most=MAX_TEMPLATE_BODY_BYTES)
@blueprint.arguments(TemplateIn, further=_further)
@blueprint.response(200, TemplateOut)
@blueprint.alt_response(201, schema=TemplateOut, description="It is new")
def put(content: dict[str, str], name: str) -> Any:
    """Make it (201), or change it for all mails that are handed in from now on. With `If-Match` only if nobody has
    changed it since. It belongs to the owner of the token that made it: that owner's tokens and `admin` change it."""
    stored, new = templates.put(services().db, name, content, seen_version=seen_version(), who=principal())
    body, status, headers = _answer(stored)
    return (body, 201, headers | {"Location": url_for("templates.show", name=name)}) if new else (body, status, headers)


@blueprint.delete("/<name>")
@requires("mail")
@blueprint.response(204)
def remove(name: str) -> None:
    """Remove it; mails that were handed in with it stay as they are."""
    templates.remove(services().db, name, who=principal())


def _answer(template: Template) -> tuple[dict[str, Any], int, dict[str, str]]:
    return _summary(template) | template.content, 200, {"ETag": etag(template.version)}


def _summary(template: Template) -> dict[str, Any]:
    return {
        "name": template.name,
        "variables": sorted(template.variables),
        "version": template.version,
        "updated_at": iso(template.updated_at),
        "owner": template.owner or None,
    }
