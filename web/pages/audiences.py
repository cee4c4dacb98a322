"""Audiences: lists of recipients under a name; made, looked through, deleted."""

from contextlib import suppress

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.domain.errors import AudienceNotFound, IdempotencyMismatch, InvalidInput
from mailroom.domain.ids import AudienceId
from mailroom.domain.words import counted
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.schedules import uploads
from web import cursors, recipients
from web.confirm import Question, ask
from web.forms.audience import AudienceForm
from web.session import principal, services, signed_in

blueprint = Blueprint("audiences", __name__)
_ROWS = 50


@blueprint.get("/audiences")
@signed_in()
def index() -> str:
    before = cursors.decode(request.args.get("before"))
    audiences = audience_lists.page(services().db, before=before, limit=_ROWS)
    older = cursors.encode(audiences[-1].created_at, audiences[-1].id) if len(audiences) == _ROWS else None
    return render_template("audiences.html", audiences=audiences, older=older)


@blueprint.get("/audiences/new")
@signed_in("schedules")
def new() -> str:
    return _page(AudienceForm.empty())


@blueprint.post("/audiences")
@signed_in("schedules")
def create() -> ResponseReturnValue:
    """Save a list; a table first comes back with how its columns are read. The form's nonce names the list: sent twice,
    it is one."""
    db, owner, action = services().db, principal().owner, request.form.get("action")
    if action == "refused":
        return recipients.refused_report(db, request.form, owner=owner)
    given = recipients.read(db, request.form, request.files.get("recipients_file"), owner=owner)
    form = AudienceForm.sent(request.form, given)
    if action == "check" or (given.table and not given.seen):
        form.look_at_list(asked=False)
        return _page(form)
    form.look_at_list(asked=True)
    if given.stopped or not given.any:
        form.refuse(audience_lists.faults_of_name(form.name.data))
        return _page(form, refused=True), 422
    try:
        key = f"form-{form.nonce.data[:64]}"
        saved = audience_lists.create_of(db, form.name.data, given.recipients, owner=owner, key=key)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(form, refused=True), 422
    except IdempotencyMismatch:
        form.renew()
        form.complain("name", "This form was saved before with other values. Save again to make a second audience.")
        return _page(form, refused=True), 409
    if given.upload:
        uploads.drop(db, given.upload, owner=owner)
    skipped = f" {counted(given.refused, 'line')} {'was' if given.refused == 1 else 'were'} skipped."
    flash(f"Audience saved.{skipped if given.refused else ''} Choose it when you make a schedule.")
    return redirect(url_for("audiences.show", audience_id=saved.audience.id), 303)


def restored(typed: MultiDict[str, str]) -> str:
    """The form with the values that were typed before a session ended. Nothing is saved."""
    principal().require("schedules")
    return _page(AudienceForm.sent(typed, recipients.read(services().db, typed, None, owner=principal().owner)))


@blueprint.get("/audiences/<audience_id>")
@signed_in()
def show(audience_id: str) -> str:
    audience = audience_lists.get(services().db, AudienceId(audience_id))
    after = request.args.get("after", "")
    members = audience_lists.recipients(services().db, audience.id, after=after, limit=_ROWS)
    return render_template(
        "audience.html",
        audience=audience,
        columns=sorted({name for member in members for name in member.variables}),
        members=members,
        after=members[-1].key if len(members) == _ROWS else None,
    )


@blueprint.get("/audiences/<audience_id>/delete")
@signed_in("schedules")
def ask_delete(audience_id: str) -> ResponseReturnValue:
    audience = audience_lists.get(services().db, AudienceId(audience_id))
    if not audience.listed:
        return redirect(url_for("audiences.index"), 303)
    question = Question(
        f"Delete audience “{audience.name}”?",
        "Delete audience",
        [
            f"It has {counted(audience.count, 'contact')}.",
            "No schedule can choose it any more. Schedules that send to it already still do.",
        ],
    )
    back = url_for("audiences.show", audience_id=audience_id)
    return ask(question, act=url_for("audiences.delete", audience_id=audience_id), back=back)


@blueprint.post("/audiences/<audience_id>/delete")
@signed_in("schedules")
def delete(audience_id: str) -> ResponseReturnValue:
    """Deleting again changes nothing."""
    with suppress(AudienceNotFound):
        audience_lists.drop(services().db, AudienceId(audience_id))
    flash("Audience deleted. Schedules that send to it still do.")
    return redirect(url_for("audiences.index"), 303)


def _page(form: AudienceForm, *, refused: bool = False) -> str:
    return render_template("audience_form.html", form=form, refused=refused, **recipients.of_page(form.given))
