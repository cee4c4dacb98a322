"""Rejected API requests with their reasons, for the maintainers of the callers."""

from flask import Blueprint, render_template, request

from mailroom.services.operations import rejected_requests
from web.session import services, signed_in

blueprint = Blueprint("refusals", __name__)
_ROWS = 50
_STATUSES = (400, 401, 403, 405, 406, 409, 413, 415, 422)


@blueprint.get("/refusals")
@signed_in("admin")
def index() -> str:
    asked = request.args.get("status", "")
    status = int(asked) if asked in map(str, _STATUSES) else None
    found = rejected_requests.page(services().db, status=status, before=request.args.get("before", ""), limit=_ROWS)
    return render_template(
        "refusals.html",
        refusals=[stored.request for stored in found],
        status=status,
        statuses=_STATUSES,
        kept_days=services().settings.retention.refusals.days,
        older=found[-1].id if len(found) == _ROWS else None,
    )
