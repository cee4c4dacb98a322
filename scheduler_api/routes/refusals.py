"""`/v1/refusals`: requests that were refused, redacted, newest first."""

from typing import Any

from mailroom.services.operations import rejected_requests
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import requires, services
from scheduler_api.schemas import refusals as schemas

blueprint = Blueprint("refusals", __name__, url_prefix="/v1/refusals", description="Requests that were refused.")


@blueprint.get("")
@requires("admin")
@blueprint.arguments(schemas.RefusalQuery, location="query")
@blueprint.response(200, schemas.Refusals)
def index(query: dict[str, Any]) -> Any:
    """Refused requests, with their reasons: malformed, wrong or not allowed. They are kept for a limited time, without
    secrets."""
    before, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = rejected_requests.page(services().db, status=query.get("status"), before=before, limit=limit)
    return paging.page_of(found, limit, schemas.refusal, paging.by_id)
