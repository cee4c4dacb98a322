"""`/v1/dispatches`: calls to a provider, also those in doubt, and a person's decision where the outcome cannot be
known."""

from typing import Any

from marshmallow import fields, validate

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.ids import DispatchId, RunId
from mailroom.services.reconciliation import resolve as reconciliation_resolve
from mailroom.services.reconciliation.resolve import Resolution
from mailroom.services.reports import runs as run_views
from mailroom.services.reports.descriptions import describe
from scheduler_api import paging
from scheduler_api.arguments import Blueprint, RequestBody
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import dispatches as schemas
from scheduler_api.schemas.people import DispatchPage, described

blueprint = Blueprint("dispatches", __name__, url_prefix="/v1/dispatches", description="One call to a provider each.")


class ResolveIn(RequestBody):
    verdict = fields.String(required=True, validate=validate.OneOf(list(Resolution)))
    attempt = fields.Integer(
        validate=validate.Range(min=0), metadata={"description": "of which this is said: 409 once there is a later one"}
    )


@blueprint.get("")
@requires("read")
@blueprint.arguments(schemas.DispatchQuery, location="query")
@blueprint.response(200, DispatchPage)
def list_dispatches(query: dict[str, Any]) -> Any:
    """Dispatches in a state, such as `state=in_doubt`, each with recipients and subject."""
    state = DispatchState(query["state"]) if "state" in query else None
    run_id = RunId(query["run_id"]) if "run_id" in query else None
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = run_views.dispatches_of(services().db, state=state, run_id=run_id, after=after, limit=limit)
    about = describe(services().db, [dispatch.id for dispatch in found])
    return paging.page_of(found, limit, lambda dispatch: described(schemas.dispatch(dispatch), about), paging.by_id)


@blueprint.get("/<dispatch_id>")
@requires("read")
@blueprint.response(200, schemas.DispatchOut)
def show_dispatch(dispatch_id: str) -> Any:
    """One dispatch with its audit trail."""
    return schemas.whole_dispatch(run_views.dispatch(services().db, DispatchId(dispatch_id)))


@blueprint.post("/<dispatch_id>/resolve")
@requires("mail", "schedules")
@blueprint.arguments(ResolveIn)
@blueprint.response(200, schemas.DispatchOut)
def resolve(body: dict[str, Any], dispatch_id: str) -> Any:
    """Decide that an `unknown` dispatch went out, or is sent again: scope `mail` for a single mail's, scope `schedules`
    for a campaign's.

    `went_out` is also for a dispatch `in_doubt`, `send_again` also for one that `failed`.
    """
    principal().require_for(DispatchId(dispatch_id))
    verdict, by = Resolution(body["verdict"]), principal().name
    reconciliation_resolve.resolve(services().db, DispatchId(dispatch_id), verdict, by=by, attempt=body.get("attempt"))
    return schemas.whole_dispatch(run_views.dispatch(services().db, DispatchId(dispatch_id)))
