"""`/v1/refusals`: requests that were refused, redacted, newest first."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.services.operations import rejected_requests
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import requires, services
from scheduler_api.problems import FaultOut
from scheduler_api.schemas.runs import iso
from scheduler_api.schemas.schedules import ListQuery

blueprint = Blueprint("refusals", __name__, url_prefix="/v1/refusals", description="Requests that were refused.")
_PLAIN = ("method", "path", "status", "code", "detail", "who", "remote", "request_id", "size", "body")


class RefusalQuery(ListQuery):
    status = fields.Integer(validate=validate.Range(400, 499))


class RefusalOut(Schema):
    id = fields.String()
    at = fields.String()
    method = fields.String()
    path = fields.String()
    status = fields.Integer()
    code = fields.String()
    detail = fields.String()
    errors = fields.List(fields.Nested(FaultOut))
    who = fields.String(metadata={"description": "the name of the token; empty where none was good"})
    remote = fields.String()
    request_id = fields.String()
    size = fields.Integer(metadata={"description": "bytes of the body as it came"})
    body = fields.String(metadata={"description": "redacted and cut; empty where it was not read"})


class Refusals(paging.PageOut):
    items = fields.List(fields.Nested(RefusalOut))


@blueprint.get("")
@requires("admin")
@blueprint.arguments(RefusalQuery, location="query")
@blueprint.response(200, Refusals)
def index(query: dict[str, Any]) -> Any:
    """What was refused: malformed, wrong, not allowed, with its reasons. Kept for a while, without secrets."""
    before, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = rejected_requests.page(services().db, status=query.get("status"), before=before, limit=limit)
    return paging.page_of(found, limit, _shown, paging.by_id)


def _shown(doc: Any) -> dict[str, Any]:
    plain = {name: doc[name] for name in _PLAIN}
    return {"id": doc["_id"], "at": iso(doc["at"]), "errors": doc["faults"], **plain}
