"""The list of runs of all schedules."""

from typing import Final

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from mailroom.domain.errors import InvalidInput
from mailroom.domain.runs import RunState
from mailroom.domain.searches import RunOrder
from mailroom.services.reports import counts as report_counts
from mailroom.services.reports import run_search
from web import cursors
from web.forms.searches import RunSearchForm
from web.listing import Listing, asked_order
from web.session import principal, services, signed_in
from web.words import run_state

blueprint = Blueprint("run_lists", __name__)
_ROWS: Final = 50
_ORDERS: Final = {RunOrder.LATEST_DUE: "Latest due", RunOrder.EARLIEST_DUE: "Earliest due"}


@blueprint.get("/runs")
@signed_in()
def index() -> ResponseReturnValue:
    services().limits.check_report(principal())
    db, form, status = services().db, RunSearchForm(request.args), request.args.get("status", "")
    state = RunState(status) if status in list(RunState) else None
    order = asked_order(RunOrder.LATEST_DUE)
    listing = Listing("run_lists.index", form.filters() | {"status": state or ""}, order, RunOrder.LATEST_DUE)
    search, after = form.search(state), cursors.decode(request.args.get("after"))
    count, runs = None, list[run_search.ListedRun]()
    try:
        if not form.errors:
            count = run_search.count(db, search)
            runs = run_search.page(db, search, order, after=after, limit=_ROWS)
    except InvalidInput as error:
        form.refuse(error.faults)
    page = render_template(
        "runs.html",
        listing=listing,
        form=form,
        orders=_ORDERS,
        status=state or "",
        labels={value: run_state(value) for value in RunState},
        count=count,
        runs=runs,
        reports=report_counts.reports_of(db, [listed.run for listed in runs]) if runs else {},
        after=cursors.encode(*run_search.place_of(runs[-1])) if len(runs) == _ROWS else None,
    )
    return page, 422 if form.errors else 200
