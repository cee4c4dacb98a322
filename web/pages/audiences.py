"""Audiences: lists of recipients under a name; made, looked through, taken off the list."""

import secrets
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import FileStorage

from mailroom.domain.audiences import parse_pasted
from mailroom.domain.errors import AudienceNotFound, Fault, IdempotencyMismatch, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.services import audience_lists
from mailroom.services.audience_lists import NewList
from web import cursors
from web.forms import text_of, words_of
from web.session import front, principal, signed_in

blueprint = Blueprint("audiences", __name__)
_ROWS = 50


@blueprint.get("/audiences")
@signed_in()
def index() -> str:
    return _page({"nonce": secrets.token_hex(16)}, ())


@blueprint.post("/audiences")
@signed_in("schedules")
def create() -> Any:
    """The form's nonce names the list: sent twice, it is one."""
    typed = {name: request.form.get(name, "") for name in ("name", "recipients", "nonce")}
    try:
        pasted = _pasted(typed["recipients"], request.files.get("recipients_file"))
        asked = NewList(typed["name"], parse_pasted(pasted) if pasted.strip() else [])
        key = f"form-{typed['nonce'][:64]}"
        made, _ = audience_lists.create(front().db, asked, owner=principal().owner, key=key)
    except InvalidInput as error:
        return _page(typed, error.faults), 422
    except IdempotencyMismatch:
        fault = Fault("name", "this form was saved before with other values; save again to make a second list")
        return _page(typed | {"nonce": secrets.token_hex(16)}, [fault]), 409
    flash("The audience is kept. Choose it when you make a schedule.")
    return redirect(url_for("audiences.show", audience_id=made.id), 303)


@blueprint.get("/audiences/<audience_id>")
@signed_in()
def show(audience_id: str) -> str:
    audience = audience_lists.get(front().db, AudienceId(audience_id))
    after = request.args.get("after", "")
    members = audience_lists.members(front().db, audience.id, after=after, limit=_ROWS)
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
        audience_lists.drop(front().db, AudienceId(audience_id))
        flash("Taken off the list. Schedules that go to it still do.")
    except AudienceNotFound:
        flash("It was taken off the list before.")
    return redirect(url_for("audiences.index"), 303)


def _pasted(typed: str, upload: FileStorage | None) -> str:
    """Raises InvalidInput for a file that cannot be read."""
    try:
        return typed if upload is None or not upload.filename else text_of(upload)
    except ValueError as error:
        raise InvalidInput(Fault("recipients", str(error))) from None


def _page(typed: dict[str, str], faults: Any) -> str:
    before = cursors.decode(request.args.get("before"))
    found = audience_lists.page(front().db, before=before, limit=_ROWS)
    errors: dict[str, list[str]] = {}
    for fault in faults:
        errors.setdefault(fault.path.partition("[")[0], []).append(words_of(fault))
    older = cursors.encode(found[-1].created_at, found[-1].id) if len(found) == _ROWS else None
    return render_template("audiences.html", audiences=found, older=older, typed=typed, errors=errors)
