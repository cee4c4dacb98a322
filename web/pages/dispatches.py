"""Calls to the provider: what is in doubt, what became of each, and a person's word where nobody else can know."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.errors import DispatchNotUnknown, Fault, InvalidInput
from mailroom.domain.ids import DispatchId
from mailroom.services.reconciliation import resolve as reconciliation_resolve
from mailroom.services.reconciliation.resolve import Resolution
from mailroom.services.reports import runs as run_views
from web.session import principal, services, signed_in

blueprint = Blueprint("dispatches", __name__)
_ROWS = 50


@blueprint.get("/dispatches")
@signed_in()
def index() -> str:
    state = request.args.get("state", DispatchState.IN_DOUBT)
    chosen = DispatchState(state) if state in list(DispatchState) else DispatchState.IN_DOUBT
    found = run_views.dispatches_of(
        services().db, state=chosen, run_id=None, after=request.args.get("after", ""), limit=_ROWS
    )
    return render_template(
        "dispatches.html",
        dispatches=found,
        state=chosen,
        states=list(DispatchState),
        after=found[-1]["_id"] if len(found) == _ROWS else None,
    )


@blueprint.get("/dispatches/<dispatch_id>")
@signed_in()
def show(dispatch_id: str) -> str:
    return render_template("dispatch.html", dispatch=run_views.dispatch(services().db, DispatchId(dispatch_id)))


@blueprint.post("/dispatches/<dispatch_id>/resolve")
@signed_in("mail", "schedules")
def resolve(dispatch_id: str) -> Any:
    principal().require_for(DispatchId(dispatch_id))
    said = request.form.get("verdict", "")
    if said not in list(Resolution):
        raise InvalidInput(Fault("verdict", f"one of {', '.join(Resolution)}"))
    attempt = request.form.get("attempt", type=int)
    try:
        reconciliation_resolve.resolve(
            services().db, DispatchId(dispatch_id), Resolution(said), by=principal().name, attempt=attempt
        )
        flash("Marked as sent." if said == Resolution.WENT_OUT else "It is resent, as a new attempt.")
    except DispatchNotUnknown as error:
        flash(f"Not done: {error}.")
    return redirect(url_for("dispatches.show", dispatch_id=dispatch_id), 303)
