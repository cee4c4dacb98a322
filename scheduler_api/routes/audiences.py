"""`/v1/audiences`: lists of recipients under a name, for any number of schedules."""

from typing import Any

from flask import url_for

from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_VALUES_OF_A_LIST
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.lists import NewAudience
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.headers import KEY_NEEDED, needed_key
from scheduler_api.paging import ListQuery
from scheduler_api.schemas import audiences as schemas

blueprint = Blueprint("audiences", __name__, url_prefix="/v1/audiences", description="The recipients of schedules.")


@blueprint.post("")
@blueprint.doc(parameters=[KEY_NEEDED])
@requires("schedules", most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
@blueprint.arguments(schemas.AudienceIn, further=schemas.further_faults)
@blueprint.response(201, schemas.AudienceMade)
@blueprint.alt_response(200, schema=schemas.AudienceMade, description="The same request again")
def create(body: dict[str, Any]) -> Any:
    """Save a list of recipients under a name. An audience never changes: an edited list is a new one. The
    `Idempotency-Key` header is needed: the same key finds the same audience. A row that cannot be taken refuses the
    list, with every fault; with `"on_invalid": "skip"` the row is left out, and listed under `refused`."""
    made = audience_lists.create(services().db, NewAudience(**body), owner=principal().owner, key=needed_key())
    location = url_for("audiences.show", audience_id=made.audience.id)
    return schemas.made(made), 201 if made.new else 200, {"Location": location}


@blueprint.get("")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, schemas.AudiencePage)
def index(query: dict[str, Any]) -> Any:
    """Audiences that schedules may name, newest first."""
    before, limit = paging.decode_time_and_id(query.get("cursor")), query["limit"]
    found = audience_lists.page(services().db, before=before, limit=limit)
    return paging.page_of(found, limit, schemas.audience, lambda one: [one.created_at, one.id])


@blueprint.get("/<audience_id>")
@requires("read")
@blueprint.response(200, schemas.AudienceOut)
def show(audience_id: str) -> Any:
    """An audience, also that of a schedule that was made with recipients of its own."""
    return schemas.audience(audience_lists.get(services().db, AudienceId(audience_id)))


@blueprint.get("/<audience_id>/recipients")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, schemas.RecipientPage)
def recipients(query: dict[str, Any], audience_id: str) -> Any:
    """Its recipients, in the order of their addresses."""
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = audience_lists.recipients(services().db, AudienceId(audience_id), after=after, limit=limit)
    return paging.page_of(found, limit, schemas.recipient, lambda one: [one.key])


@blueprint.delete("/<audience_id>")
@requires("schedules")
@blueprint.response(204)
def delete(audience_id: str) -> None:
    """Delete an audience: no schedule can name it any more. Schedules that go to it still do; if there is none, its
    recipients are removed within a day or so."""
    audience_lists.drop(services().db, AudienceId(audience_id))
