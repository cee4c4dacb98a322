"""`/v1/workers`: the processes that work here, and those that have stopped checking in."""

from typing import Any

from mailroom.services.operations import workers
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import requires, services
from scheduler_api.paging import ListQuery
from scheduler_api.schemas import workers as schemas

blueprint = Blueprint("workers", __name__, url_prefix="/v1/workers", description="Who works here.")


@blueprint.get("")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, schemas.WorkerPage)
def index(query: dict[str, Any]) -> Any:
    """Every sender, API and page process, by id. One that ends in order leaves the list at once; one that is `silent`
    leaves it an hour after its last check-in."""
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = workers.page(services().db, after=after, limit=limit)
    return paging.page_of(found, limit, schemas.worker, lambda view: (view.worker.id,))
