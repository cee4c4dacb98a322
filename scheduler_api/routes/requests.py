"""`/v1/requests`: a caller's own requests, newest first."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.served_requests import ServedRequest
from mailroom.services.operations import served_requests
from mailroom.storage.served_requests import EntryPlace
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.paging import ListQuery
from scheduler_api.schemas.instants import iso

blueprint = Blueprint("requests", __name__, url_prefix="/v1/requests", description="Requests that were answered.")
_PLAIN = ("request_id", "token", "method", "route", "status", "ms")


class RequestsQuery(ListQuery):
    token = fields.String(
        validate=validate.Length(min=1, max=64),
        metadata={"description": "the id of a token; the one presented, if left out"},
    )


class ServedRequestOut(Schema):
    at = fields.String()
    request_id = fields.String(metadata={"description": "the caller's own X-Request-Id, or the one that it was given"})
    token = fields.String(metadata={"description": "the id of the token"})
    method = fields.String()
    route = fields.String(metadata={"description": "the template of the path, such as /v1/emails/{email_id}"})
    status = fields.Integer()
    ms = fields.Float(metadata={"description": "milliseconds until the answer"})


class Requests(paging.PageOut):
    items = fields.List(fields.Nested(ServedRequestOut))


@blueprint.get("")
@requires("read")
@blueprint.arguments(RequestsQuery, location="query")
@blueprint.response(200, Requests)
def index(query: dict[str, Any]) -> Any:
    """Requests made with a token, newest first to about a second. Each caller sees the requests of its own tokens,
    `admin` those of any. A request is in the list within some two seconds."""
    before, limit = paging.decode_id_and_number(query.get("cursor")), query["limit"]
    place = EntryPlace(*before) if before else None
    found = served_requests.page(services().db, principal(), token=query.get("token"), before=place, limit=limit)
    return paging.page_of(found, limit, lambda row: _shown(row[1]), lambda row: (row[0].bundle, row[0].number))


def _shown(served: ServedRequest) -> dict[str, Any]:
    return {"at": iso(served.at), **{name: getattr(served, name) for name in _PLAIN}}
