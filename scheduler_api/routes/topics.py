"""`/v1/topics`: what readers get and may leave."""

from typing import Any

from flask import url_for

from mailroom.domain.subscription_forms import form_html
from mailroom.services.consent import topics
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.headers import SEEN, etag, seen_version
from scheduler_api.paging import ListQuery
from scheduler_api.schemas import topics as schemas

blueprint = Blueprint("topics", __name__, url_prefix="/v1/topics", description="What readers get and may leave.")


@blueprint.get("")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, schemas.TopicPage)
def index(query: dict[str, Any]) -> Any:
    """Topics by their ids."""
    limit = query["limit"]
    found = topics.page(services().db, after=paging.decode_id(query.get("cursor")), limit=limit)
    return paging.page_of(found, limit, schemas.topic, lambda one: [one.id])


@blueprint.post("")
@requires("schedules")
@blueprint.arguments(schemas.TopicIn)
@blueprint.response(201, schemas.TopicOut)
@blueprint.alt_response(200, schema=schemas.TopicOut, description="It is there already, and says the same")
@blueprint.alt_response(409, "CONFLICT")
def create(body: dict[str, Any]) -> Any:
    """Make a topic. A schedule that names it goes to nobody who has left it, and carries a link to leave it."""
    topic, new = topics.create(services().db, body, by=principal().name)
    location = {"Location": url_for("topics.show", topic_id=topic.id)} if new else {}
    return schemas.topic(topic), 201 if new else 200, location | {"ETag": etag(topic.version)}


@blueprint.get("/<topic_id>")
@requires("read")
@blueprint.response(200, schemas.TopicOut)
def show(topic_id: str) -> Any:
    """One topic. The ETag names its version."""
    topic = topics.get(services().db, topic_id)
    return schemas.topic(topic), 200, {"ETag": etag(topic.version)}


@blueprint.get("/<topic_id>/form")
@requires("read")
@blueprint.response(200, schemas.TopicFormOut)
def form(topic_id: str) -> Any:
    """The HTML of a form to subscribe by, for any page: no script, no style sheet."""
    topic = topics.get(services().db, topic_id)
    return {"html": form_html(topic, services().settings.web.public_url)}


@blueprint.patch("/<topic_id>")
@blueprint.doc(parameters=[SEEN])
@requires("schedules")
@blueprint.arguments(schemas.TopicEdit)
@blueprint.response(200, schemas.TopicOut)
def change(body: dict[str, Any], topic_id: str) -> Any:
    """Change a topic; with `If-Match` only if it has not changed since. Schedules that are stored keep their footer
    until they are saved again."""
    topic = topics.change(services().db, topic_id, body, seen_version=seen_version(), by=principal().name)
    return schemas.topic(topic), 200, {"ETag": etag(topic.version)}
