"""`/v1/audiences`: lists of recipients under a name, for any number of schedules."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flask import url_for
from marshmallow import Schema, fields, validate

from mailroom.domain.audiences import MAX_TOLD, Audience, Recipient
from mailroom.domain.errors import Fault
from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_NAME, MAX_VALUES_OF_A_LIST
from mailroom.services.schedules import audiences as audience_lists
from mailroom.services.schedules.audiences import NewList
from scheduler_api import paging
from scheduler_api.arguments import Blueprint, RequestBody
from scheduler_api.auth import principal, requires, services
from scheduler_api.headers import KEY_NEEDED, needed_key
from scheduler_api.schemas.schedules import ROWS_DOC, ListQuery, Recipients

blueprint = Blueprint("audiences", __name__, url_prefix="/v1/audiences", description="To whom schedules go.")


class AudienceIn(RequestBody):
    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    recipients = Recipients(required=True, metadata=ROWS_DOC)
    on_invalid = fields.String(
        load_default="refuse",
        validate=validate.OneOf(["refuse", "skip"]),
        metadata={"description": "what becomes of the list where a row cannot be taken; `skip` leaves that row out"},
    )


class AudienceOut(Schema):
    id = fields.String()
    name = fields.String(metadata={"description": "empty for one that is a single schedule's own"})
    recipients_count = fields.Integer()
    variables = fields.List(fields.String(), metadata={"description": "those that every recipient has"})
    created_at = fields.String()


class RefusedOut(Schema):
    row = fields.Integer(metadata={"description": "its place in `recipients`; the first is 1"})
    address = fields.String()
    message = fields.String()


class AudienceMade(AudienceOut):
    refused = fields.List(
        fields.Nested(RefusedOut), metadata={"description": f"the rows that were left out, the first {MAX_TOLD:,}"}
    )
    refused_count = fields.Integer()


class AudiencePage(paging.PageOut):
    items = fields.List(fields.Nested(AudienceOut))


class MemberOut(Schema):
    address = fields.String()
    name = fields.String()
    variables = fields.Dict()


class RecipientPage(paging.PageOut):
    items = fields.List(fields.Nested(MemberOut))


def _further(asked: dict[str, Any], good: dict[str, Any]) -> Sequence[Fault]:
    """The domain's faults of a list that the schema refuses."""
    name, rows = asked.get("name"), asked.get("recipients")
    read = NewList(name if isinstance(name, str) else "x", rows if isinstance(rows, list) else [])
    return audience_lists.faults_of(read)


@blueprint.post("")
@blueprint.doc(parameters=[KEY_NEEDED])
@requires("schedules", most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
@blueprint.arguments(AudienceIn, further=_further)
@blueprint.response(201, AudienceMade)
@blueprint.alt_response(200, schema=AudienceMade, description="The same request again")
def create(body: dict[str, Any]) -> Any:
    """Keep a list of recipients under a name. It never changes: an edited list is a new one. The `Idempotency-Key`
    header is needed: with the same key it is the same list. A row that cannot be taken refuses the list, with every
    fault; with `"on_invalid": "skip"` it is left out, and told under `refused`."""
    made = audience_lists.create(services().db, NewList(**body), owner=principal().owner, key=needed_key())
    location = url_for("audiences.show", audience_id=made.audience.id)
    told = {"refused": [asdict(one) for one in made.refused], "refused_count": made.refused_count}
    return _shown(made.audience) | told, 201 if made.new else 200, {"Location": location}


@blueprint.get("")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, AudiencePage)
def index(query: dict[str, Any]) -> Any:
    """Those that schedules may name, newest first."""
    before, limit = paging.decode_time_and_id(query.get("cursor")), query["limit"]
    found = audience_lists.page(services().db, before=before, limit=limit)
    return paging.page_of(found, limit, _shown, lambda one: [one.created_at, one.id])


@blueprint.get("/<audience_id>")
@requires("read")
@blueprint.response(200, AudienceOut)
def show(audience_id: str) -> Any:
    """One of them, or the audience of a schedule that was made with recipients of its own."""
    return _shown(audience_lists.get(services().db, AudienceId(audience_id)))


@blueprint.get("/<audience_id>/recipients")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, RecipientPage)
def recipients(query: dict[str, Any], audience_id: str) -> Any:
    """Everybody in it, in the order of their addresses."""
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = audience_lists.members(services().db, AudienceId(audience_id), after=after, limit=limit)
    return paging.page_of(found, limit, _recipient, lambda one: [one.key])


@blueprint.delete("/<audience_id>")
@requires("schedules")
@blueprint.response(204)
def delete(audience_id: str) -> None:
    """Take it off the list: no schedule can name it any more. Those that go to it still do; where none does, its
    recipients are removed within a day or so."""
    audience_lists.drop(services().db, AudienceId(audience_id))


def _shown(audience: Audience) -> dict[str, Any]:
    return {
        "id": audience.id,
        "name": audience.name,
        "recipients_count": audience.count,
        "variables": list(audience.variables),
        "created_at": audience.created_at.isoformat(),
    }


def _recipient(recipient: Recipient) -> dict[str, Any]:
    return {"address": recipient.address, "name": recipient.name, "variables": recipient.variables}
