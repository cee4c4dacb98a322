"""`/v1/suppressions`: addresses that get nothing more."""

from typing import Any

from marshmallow import Schema, fields

from mailroom.domain.errors import SuppressionNotFound
from mailroom.services import suppressing
from mailroom.services.suppressing import Suppression
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import front, requires
from scheduler_api.schemas.schedules import ListQuery

blueprint = Blueprint("suppressions", __name__, url_prefix="/v1/suppressions", description="Who gets nothing more.")


class SuppressionOut(Schema):
    address = fields.String()
    reason = fields.String()
    since = fields.String()


class SuppressionPage(paging.PageOut):
    items = fields.List(fields.Nested(SuppressionOut))


@blueprint.get("")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, SuppressionPage)
def index(query: dict[str, Any]) -> Any:
    """Hard bounces, complaints and unsubscribes, newest first."""
    limit = query["limit"]
    found = suppressing.page(front().db, before=paging.decode_time_and_id(query.get("cursor")), limit=limit)
    return paging.page_of(found, limit, _shown, lambda one: [one.since, one.address])


@blueprint.delete("/<path:address>")
@requires("schedules")
@blueprint.response(204)
def remove(address: str) -> None:
    """Let this address be mailed to again."""
    if not suppressing.remove(front().db, address):
        raise SuppressionNotFound(address)


def _shown(one: Suppression) -> dict[str, str]:
    return {"address": one.address, "reason": one.reason, "since": one.since.isoformat()}
