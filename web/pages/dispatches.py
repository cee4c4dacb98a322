"""Provider requests by state, the activity of one, and a person's decision where the outcome cannot be known."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.dispatches.states import DispatchState
from mailroom.domain.errors import DispatchNotUnknown, Fault, InvalidInput
from mailroom.domain.ids import DispatchId
from mailroom.domain.words import counted
from mailroom.services.reconciliation import resolve as reconciliation_resolve
from mailroom.services.reconciliation.resolve import Resolution
from mailroom.services.reports import descriptions
from mailroom.services.reports import runs as run_views
from mailroom.services.reports.descriptions import Description
from web.confirm import Question, ask
from web.flashes import flash_problem
from web.session import principal, services, signed_in
from web.words import people

blueprint = Blueprint("dispatches", __name__)
_ROWS = 50
_VERDICTS = {Resolution.WENT_OUT: "it went out", Resolution.SEND_AGAIN: "send again"}  # as the trail says them


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
        descriptions=descriptions.describe(services().db, [dispatch.id for dispatch in found]),
        state=chosen,
        states=list(DispatchState),
        after=found[-1].id if len(found) == _ROWS else None,
    )


@blueprint.get("/dispatches/<dispatch_id>")
@signed_in()
def show(dispatch_id: str) -> str:
    view = run_views.dispatch(services().db, DispatchId(dispatch_id))
    description = _description(view.dispatch.id)
    return render_template("dispatch.html", view=view, dispatch=view.dispatch, description=description)


def _description(id_: DispatchId) -> Description | None:
    """None if the request was deleted in this moment."""
    return descriptions.describe(services().db, [id_]).get(id_)


@blueprint.get("/dispatches/<dispatch_id>/resolve")
@signed_in("mail", "schedules")
def ask_resolve(dispatch_id: str) -> str:
    principal().require_for(DispatchId(dispatch_id))
    word = _word(request.args.get("verdict", ""))
    shown = run_views.dispatch(services().db, DispatchId(dispatch_id)).dispatch
    emails = counted(shown.messages, "email")
    if word is Resolution.WENT_OUT:
        title, button = f"Mark {emails} as sent?", "Mark as sent"
        details = ["They are counted as sent, and this request is never made again."]
    else:
        failed = shown.state == DispatchState.FAILED
        title, button = (f"Retry {emails}?", "Retry") if failed else (f"Resend {emails}?", "Resend")
        risk = "It was not accepted before." if failed else "If it was accepted before, recipients get it twice."
        details = [f"The request is made again, as a new attempt. {risk}"]
    if description := _description(shown.id):
        details.insert(0, f"To {people(description.recipients, description.recipients_count)}: {description.subject}")
    question = Question(
        title,
        button,
        [*details, f"Request: {dispatch_id}"],
        {"verdict": word, "attempt": request.args.get("attempt", str(shown.attempt))},
    )
    back = url_for("dispatches.show", dispatch_id=dispatch_id)
    return ask(question, act=url_for("dispatches.resolve", dispatch_id=dispatch_id), back=back)


@blueprint.post("/dispatches/<dispatch_id>/resolve")
@signed_in("mail", "schedules")
def resolve(dispatch_id: str) -> ResponseReturnValue:
    """The decision is about the attempt that the question named; pressing twice decides once."""
    principal().require_for(DispatchId(dispatch_id))
    word, attempt = _word(request.form.get("verdict", "")), request.form.get("attempt", type=int)
    if attempt is None:
        raise InvalidInput(Fault("attempt", "names the attempt that the decision is about"))
    by = principal().name
    try:
        reconciliation_resolve.resolve(services().db, DispatchId(dispatch_id), word, by=by, attempt=attempt)
        flash("Marked as sent." if word is Resolution.WENT_OUT else "It is resent, as a new attempt.")
    except DispatchNotUnknown as error:
        if not _decided_before(DispatchId(dispatch_id), word, attempt):
            flash_problem(error)
    return redirect(url_for("dispatches.show", dispatch_id=dispatch_id), 303)


def _decided_before(dispatch_id: DispatchId, word: Resolution, attempt: int | None) -> bool:
    """True if this person has decided the same about this attempt: the form was sent twice."""
    decision = {"by": principal().name, "attempt": attempt, "verdict": _VERDICTS[word]}
    trail = run_views.dispatch(services().db, dispatch_id).dispatch.trail
    return any(step.step == "resolved" and step.facts == decision for step in trail)


def _word(verdict: str) -> Resolution:
    if verdict not in list(Resolution):
        raise InvalidInput(Fault("verdict", f"one of {', '.join(Resolution)}"))
    return Resolution(verdict)
