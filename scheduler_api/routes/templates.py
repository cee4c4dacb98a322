"""`/v1/templates`: stored texts of mails, with variables, and their versions."""

from collections.abc import Sequence
from typing import Any

from flask import request, url_for

from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_TEMPLATE_BODY_BYTES
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.templates import Template, TemplateDraft
from mailroom.services.mails import templates
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.headers import SEEN, etag, seen_version
from scheduler_api.paging import ListQuery
from scheduler_api.schemas import templates as schemas

blueprint = Blueprint("templates", __name__, url_prefix="/v1/templates", description="What mails say.")


@blueprint.get("")
@requires("read")
@blueprint.arguments(schemas.TemplateQuery, location="query")
@blueprint.response(200, schemas.TemplatePage)
def index(query: dict[str, Any]) -> Any:
    """Templates by their names."""
    limit, after = query["limit"], paging.decode_id(query.get("cursor"))
    found = templates.search(services().db, query.get("name", ""), after=after, limit=limit)
    return paging.page_of(found, limit, schemas.summary, lambda one: [one.name])


@blueprint.get("/<name>")
@requires("read")
@blueprint.response(200, schemas.TemplateOut)
def show(name: str) -> Any:
    """One template. The ETag names its version."""
    return _answer(templates.get(services().db, name))


@blueprint.get("/<name>/versions")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, schemas.TemplatePage)
def versions(query: dict[str, Any], name: str) -> Any:
    """The versions of a template, newest first; also of one that is removed."""
    limit, last = query["limit"], paging.decode_id_and_number(query.get("cursor"))
    found = templates.page_of_versions(services().db, name, before=last[1] if last else None, limit=limit)
    return paging.page_of(found, limit, schemas.summary, lambda one: [one.name, one.version])


@blueprint.get("/<name>/versions/<int(max=1000000000):version>")
@requires("read")
@blueprint.response(200, schemas.TemplateOut)
def show_version(name: str, version: int) -> Any:
    """One version, as it was stored. It never changes."""
    return schemas.whole(templates.get_version(services().db, PinnedTemplate(name, version)))


def _further(asked: dict[str, Any], good: dict[str, Any]) -> Sequence[Fault]:
    return templates.faults_of(services().db, (request.view_args or {})["name"], schemas.stand_in(asked, good))


@blueprint.put("/<name>")
@blueprint.doc(parameters=[SEEN])
@requires("mail", most=MAX_TEMPLATE_BODY_BYTES)
@blueprint.arguments(schemas.TemplateIn, further=_further)
@blueprint.response(200, schemas.TemplateOut)
@blueprint.alt_response(201, schema=schemas.TemplateOut, description="It is new")
def put(asked: dict[str, Any], name: str) -> Any:
    """Make a template (201), or a new version of it for all that is made with it from now on. Its layout and partials
    are taken as they are stored now. What says the same as the newest version makes none. With `If-Match` only if the
    template has not changed since. It belongs to the owner of the token that made it: that owner's tokens and `admin`
    change it."""
    draft = TemplateDraft(**asked)
    stored, new = templates.put(services().db, name, draft, seen_version=seen_version(), actor=principal())
    body, status, headers = _answer(stored)
    return (body, 201, headers | {"Location": url_for("templates.show", name=name)}) if new else (body, status, headers)


@blueprint.delete("/<name>")
@requires("mail")
@blueprint.response(204)
def remove(name: str) -> None:
    """Remove a template. What was made with it stays as it is, and its versions are still shown."""
    templates.remove(services().db, name, actor=principal())


def _answer(template: Template) -> tuple[dict[str, Any], int, dict[str, str]]:
    return schemas.whole(template), 200, {"ETag": etag(template.version)}
