"""Audiences: lists of recipients under a name; made, looked through, deleted."""

import secrets
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for

from mailroom.domain.errors import AudienceNotFound, Fault, IdempotencyMismatch, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.services.schedules import audiences as audience_lists
from mailroom.services.schedules import uploads
from web import cursors, recipients
from web.recipients import Given
from web.session import principal, services, signed_in

blueprint = Blueprint("audiences", __name__)
_ROWS = 50


@blueprint.get("/audiences")
@signed_in()
def index() -> str:
    before = cursors.decode(request.args.get("before"))
    found = audience_lists.page(services().db, before=before, limit=_ROWS)
    older = cursors.encode(found[-1].created_at, found[-1].id) if len(found) == _ROWS else None
    return render_template("audiences.html", audiences=found, older=older)


@blueprint.get("/audiences/new")
@signed_in("schedules")
def new() -> str:
    return _form(Given(), "", secrets.token_hex(16))


@blueprint.post("/audiences")
@signed_in("schedules")
def create() -> Any:
    """Save a list; a table first comes back with how its columns are read. The form's nonce names the list: sent twice,
    it is one."""
    db, owner, action = services().db, principal().owner, request.form.get("action")
    if action == "refused":
        return recipients.refused_report(db, request.form, owner=owner)
    name, nonce = request.form.get("name", ""), request.form.get("nonce", "")[:64]
    given = recipients.read(db, request.form, request.files.get("recipients_file"), owner=owner)
    if action == "check" or (given.table and not given.seen):
        return _form(given, name, nonce)
    if given.stopped or not given.any:
        return _form(given, name, nonce, audience_lists.faults_of_name(name), refused=True), 422
    try:
        made = audience_lists.create_of(db, name, given.recipients, owner=owner, key=f"form-{nonce}")
    except InvalidInput as error:
        return _form(given, name, nonce, error.faults, refused=True), 422
    except IdempotencyMismatch:
        fault = Fault("name", "This form was saved before with other values. Save again to make a second audience.")
        return _form(given, name, secrets.token_hex(16), [fault]), 409
    if given.upload:
        uploads.drop(db, given.upload, owner=owner)
    left_out = f" {given.refused:,} lines were skipped." if given.refused > 1 else " 1 line was skipped."
    flash(f"Audience saved.{left_out if given.refused else ''} Choose it when you make a schedule.")
    return redirect(url_for("audiences.show", audience_id=made.audience.id), 303)


@blueprint.get("/audiences/<audience_id>")
@signed_in()
def show(audience_id: str) -> str:
    audience = audience_lists.get(services().db, AudienceId(audience_id))
    after = request.args.get("after", "")
    members = audience_lists.members(services().db, audience.id, after=after, limit=_ROWS)
    return render_template(
        "audience.html",
        audience=audience,
        columns=sorted({name for member in members for name in member.variables}),
        members=members,
        after=members[-1].key if len(members) == _ROWS else None,
    )


@blueprint.post("/audiences/<audience_id>/drop")
@signed_in("schedules")
def drop(audience_id: str) -> Any:
    try:
        audience_lists.drop(services().db, AudienceId(audience_id))
        flash("Audience deleted. Schedules that go to it still do.")
    except AudienceNotFound:
        flash("It was deleted before.")
    return redirect(url_for("audiences.index"), 303)


def _form(given: Given, name: str, nonce: str, faults: Any = (), *, refused: bool = False) -> str:
    errors: dict[str, list[str]] = {}
    for fault in faults:
        errors.setdefault(fault.path.partition("[")[0], []).append(fault.message)
    if problems := recipients.problems_of(given, asked=refused):
        errors["recipients"] = problems
    return render_template("audience_form.html", name=name, nonce=nonce, errors=errors, **recipients.of_page(given))
