"""Suppressions: who gets no mail, looked up, added and removed."""

from typing import Any, Final

from flask import Blueprint, flash, redirect, render_template, request, url_for

from mailroom.domain.errors import InvalidInput
from mailroom.domain.suppressions import SCOPES
from mailroom.services.feedback import suppressions as suppression_lists
from web import cursors
from web.session import principal, services, signed_in

blueprint = Blueprint("suppressions", __name__)
_ROWS: Final = 50


@blueprint.get("/suppressions")
@signed_in()
def index() -> str:
    return _page(request.args.get("address", "").strip(), {}, {})


@blueprint.post("/suppressions")
@signed_in("schedules")
def add() -> Any:
    """What is wrong comes back with the form as it was filled in."""
    form = {name: request.form.get(name, "") for name in ("address", "reason", "scope")}
    try:
        added = suppression_lists.add(services().db, form, by=principal().name)
    except InvalidInput as error:
        return _page("", form, {fault.path: fault.message for fault in error.faults}), 422
    flash(f"{added.address} is suppressed.")
    return redirect(url_for("suppressions.index", address=added.address), 303)


@blueprint.post("/suppressions/remove")
@signed_in("schedules")
def remove() -> Any:
    address, scope = request.form.get("address", ""), request.form.get("scope") or None
    removed = suppression_lists.remove(services().db, address, scope=scope)
    from_scope = f" from {scope}" if scope else ""
    flash(f"{address} was removed{from_scope}." if removed else f"{address} was not suppressed.")
    return redirect(url_for("suppressions.index"), 303)


def _page(address: str, form: dict[str, str], faults: dict[str, str]) -> str:
    found = None
    if address:
        one = suppression_lists.find(services().db, address)
        rows = [one] if one else []
    else:
        rows = suppression_lists.page(services().db, before=cursors.decode(request.args.get("before", "")), limit=_ROWS)
        found = cursors.encode(rows[-1].since, rows[-1].address) if len(rows) == _ROWS else None
    return render_template(
        "suppressions.html", rows=rows, address=address, form=form, faults=faults, scopes=SCOPES, before=found
    )
