"""The processes that work here: senders, API and pages, with those that have stopped checking in."""

from typing import Final

from flask import Blueprint, render_template, request

from mailroom.domain.workers import CHECK_IN_S, SILENT_AFTER, WorkerKind
from mailroom.services.operations import workers
from web.session import services, signed_in

blueprint = Blueprint("workers", __name__)
_ROWS: Final = 100
_KINDS: Final[dict[str, str]] = {
    WorkerKind.API: "API",
    WorkerKind.WEB: "Pages",
    WorkerKind.WEBHOOKS: "Webhooks",
    WorkerKind.SENDER: "Sender",
}


@blueprint.get("/workers")
@signed_in()
def index() -> str:
    db = services().db
    found = workers.page(db, after=request.args.get("after", ""), limit=_ROWS)
    return render_template(
        "workers.html",
        workers=found,
        silent=workers.silent(db),
        kinds=_KINDS,
        check_in_s=int(CHECK_IN_S),
        silent_after_s=int(SILENT_AFTER.total_seconds()),
        after=found[-1].worker.id if len(found) == _ROWS else None,
    )
