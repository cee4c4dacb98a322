"""What failed for good, and why: send it again, or take it off the list."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.searches import DeadLetterSearch
from mailroom.services.operations import dead_letters
from mailroom.services.operations.dead_letters import Chosen
from web.session import principal, services, signed_in

blueprint = Blueprint("dead_letters", __name__)
_ROWS = 50


@blueprint.get("/dead-letters")
@signed_in()
def index() -> str:
    found = dead_letters.page(services().db, _search(request.args), after=request.args.get("after", ""), limit=_ROWS)
    return render_template(
        "dead_letters.html",
        letters=found,
        run_id=request.args.get("run_id", ""),
        code=request.args.get("code", ""),
        after=found[-1]["_id"] if len(found) == _ROWS else None,
    )


@blueprint.post("/dead-letters")
@signed_in("mail", "schedules")
def act() -> Any:
    """Those that were ticked, or all of the filter that was on the page."""
    form = request.form
    what, _, whom = form.get("do", "").partition(" ")
    chosen: Chosen = [DispatchId(id_) for id_ in form.getlist("id")] if whom == "ticked" else _search(form)
    chosen, beyond = dead_letters.within_reach(chosen, principal())
    for why in sorted(set(beyond.values())):
        flash(f"Not done for {len(beyond):,}: {why}.")
    if not isinstance(chosen, DeadLetterSearch) and not chosen:
        flash("Nothing was ticked.")
    elif what == "requeue":
        done = dead_letters.requeue(services().db, chosen, by=principal().name)
        flash(f"{done.done:,} to be sent again.")
        for why in list(done.refused.values())[:5]:
            flash(f"Not done: {why}.")
    elif what == "drop":
        flash(
            f"{dead_letters.drop(services().db, chosen, by=principal().name):,} taken off the list; they stay failed."
        )
    run_id, code = form.get("run_id") or None, form.get("code") or None
    return redirect(url_for("dead_letters.index", run_id=run_id, code=code), 303)


def _search(asked: Mapping[str, str]) -> DeadLetterSearch:
    run_id, code = asked.get("run_id", "").strip(), asked.get("code", "").strip()
    return DeadLetterSearch(
        RunId(run_id) if run_id else None, code=int(code) if re.fullmatch("[0-9]{1,6}", code) else None
    )
