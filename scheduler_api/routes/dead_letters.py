"""`/v1/dead-letters`: mails that failed for good; sent again or dropped, one, many, or all of a filter."""

from typing import Any

from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.limits import MAX_IDS_BODY_BYTES
from mailroom.domain.searches import DeadLetterSearch
from mailroom.services.operations import dead_letters
from mailroom.services.reports.descriptions import describe
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import dead_letters as schemas
from scheduler_api.schemas import dispatches as dispatch_schemas
from scheduler_api.schemas.people import described

blueprint = Blueprint(
    "dead_letters", __name__, url_prefix="/v1/dead-letters", description="Mails that failed for good, and why."
)


@blueprint.get("")
@requires("read")
@blueprint.arguments(schemas.DeadLetterQuery, location="query")
@blueprint.response(200, schemas.DeadLetterPage)
def index(query: dict[str, Any]) -> Any:
    """Dead letters, each with its reason, code, recipients and subject."""
    limit = query["limit"]
    found = dead_letters.page(services().db, _search(query), after=paging.decode_id(query.get("cursor")), limit=limit)
    about = describe(services().db, [dispatch.id for dispatch in found])
    return paging.page_of(
        found, limit, lambda dispatch: described(dispatch_schemas.dispatch(dispatch), about), paging.by_id
    )


@blueprint.post("/requeue")
@requires("mail", "schedules", most=MAX_IDS_BODY_BYTES)
@blueprint.arguments(schemas.Chosen)
@blueprint.response(200, schemas.DoneOut)
def requeue(body: dict[str, Any]) -> Any:
    """Send dead letters again, each as a new attempt with all its tries: scope `mail` for those of single mails, scope
    `schedules` for those of campaigns."""
    chosen, refused = dead_letters.within_reach(_chosen(body), principal())
    done = dead_letters.requeue(services().db, chosen, by=principal().name)
    return {"done": done.done, "refused": {**refused, **done.refused}}


@blueprint.post("/drop")
@requires("mail", "schedules", most=MAX_IDS_BODY_BYTES)
@blueprint.arguments(schemas.Chosen)
@blueprint.response(200, schemas.DoneOut)
def drop(body: dict[str, Any]) -> Any:
    """Dismiss dead letters: they leave the list, and stay failed. Scopes as for requeue."""
    chosen, refused = dead_letters.within_reach(_chosen(body), principal())
    return {"done": dead_letters.drop(services().db, chosen, by=principal().name), "refused": refused}


def _chosen(body: dict[str, Any]) -> dead_letters.Chosen:
    return [DispatchId(id_) for id_ in body["ids"]] if "ids" in body else _search(body)


def _search(asked: dict[str, Any]) -> DeadLetterSearch:
    single = schemas.KINDS[asked["kind"]] if "kind" in asked else None
    run_id = RunId(asked["run_id"]) if asked.get("run_id") else None
    return DeadLetterSearch(run_id, single, asked.get("code"))
