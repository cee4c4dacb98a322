"""Suppressions: addresses that get no mail, looked up, added and removed."""

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.domain.errors import InvalidInput
from mailroom.services.consent import topics
from mailroom.services.feedback import suppressions as suppression_lists
from web import cursors
from web.forms.suppression import SuppressionForm
from web.session import principal, services, signed_in

blueprint = Blueprint("suppressions", __name__)
_ROWS: Final = 50
_TOPICS: Final = 200


@blueprint.get("/suppressions")
@signed_in()
def index() -> str:
    return _page(SuppressionForm(), request.args.get("address", "").strip())


@blueprint.post("/suppressions")
@signed_in("schedules")
def add() -> ResponseReturnValue:
    form = SuppressionForm(request.form)
    try:
        added = suppression_lists.add(services().db, form.typed(), by=principal().name)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(form), 422
    flash(f"{added.address} is suppressed.")
    return redirect(url_for("suppressions.index", address=added.address), 303)


def restored(typed: MultiDict[str, str]) -> str:
    """The page with the values that were typed before a session ended. Nothing is saved."""
    return _page(SuppressionForm(typed))


@blueprint.post("/suppressions/remove")
@signed_in("schedules")
def remove() -> ResponseReturnValue:
    address, scope = request.form.get("address", ""), request.form.get("scope") or None
    removed = suppression_lists.remove(services().db, address, scope=scope, by=principal().name)
    from_scope = f" from {scope}" if scope else ""
    flash(f"{address} was removed{from_scope}." if removed else f"{address} was not suppressed.")
    return redirect(url_for("suppressions.index"), 303)


def _page(form: SuppressionForm, address: str = "") -> str:
    form.offer_topics(topics.page(services().db, limit=_TOPICS))
    db, before, next_page = services().db, cursors.decode(request.args.get("before", "")), None
    if address:
        suppression = suppression_lists.find(db, address)
        rows = [suppression] if suppression else []
    else:
        rows = suppression_lists.page(db, before=before, limit=_ROWS)
        next_page = cursors.encode(rows[-1].since, rows[-1].address) if len(rows) == _ROWS else None
    return render_template("suppressions.html", rows=rows, address=address, form=form, before=next_page)
