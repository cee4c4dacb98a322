"""The form of a stored template: a new one, and an edit, which makes a version."""

from typing import Final

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from mailroom.domain.errors import InvalidInput, StaleEdit
from mailroom.domain.pinned_templates import PinnedTemplate
from mailroom.domain.templates import Template, TemplateKind
from mailroom.services.mails import templates
from web.forms.template import TemplateForm
from web.listing import asked_number
from web.session import principal, services, signed_in

blueprint = Blueprint("template_forms", __name__)
_LAYOUTS: Final = 200


@blueprint.get("/new-template")  # a template may be called `new`
@signed_in("mail")
def new() -> str:
    return _page(TemplateForm(data={"version": "0"}))


@blueprint.post("/new-template")
@signed_in("mail")
def create() -> ResponseReturnValue:
    form = TemplateForm(request.form)
    name = form.name.data.strip()
    try:
        templates.put(services().db, name, form.draft(), seen_version=0, actor=principal())
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(form), 422
    except StaleEdit:
        if not templates.says(services().db, name, form.draft()):
            form.complain("name", "There is a template of this name already. Take another name, or edit that one.")
            return _page(form), 409
    flash(f"“{name}” is saved.")
    return redirect(url_for("templates.show", name=name), 303)


@blueprint.get("/templates/<name>/edit")
@signed_in("mail")
def edit(name: str) -> str:
    """The newest version, or an earlier one as the beginning of a new one."""
    db, version = services().db, asked_number("version")
    newest = templates.find(db, name)
    shown = templates.get_version(db, PinnedTemplate(name, version)) if version else templates.get(db, name)
    return _page(TemplateForm.of(shown, seen_version=newest.version if newest else 0), name)


@blueprint.post("/templates/<name>/edit")
@signed_in("mail")
def change(name: str) -> ResponseReturnValue:
    """Save a new version, unless somebody else has made one since the form was opened."""
    form = TemplateForm(request.form)
    before = templates.find(services().db, name)
    try:
        stored, _ = templates.put(services().db, name, form.draft(), seen_version=form.seen_version, actor=principal())
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(form, name), 422
    except StaleEdit:
        if not templates.says(services().db, name, form.draft()):
            form.complain("", "Somebody else has changed this template since you opened it. Open it again to see.")
            return _page(form, name), 412
        stored = templates.get(services().db, name)
    flash(_saved(stored, before))
    return redirect(url_for("templates.show", name=name), 303)


def restored(typed: MultiDict[str, str], name: str = "") -> str:
    """The form with the values that were typed before a session ended. Nothing is saved."""
    principal().require("mail")
    return _page(TemplateForm(typed), name)


def _saved(stored: Template, before: Template | None) -> str:
    if before and before.version == stored.version:
        return f"Version {stored.version} is the newest, and says the same."
    if stored.kind is not TemplateKind.TEMPLATE:
        return f"Version {stored.version} is saved. Templates take it when they are saved again."
    return f"Version {stored.version} is saved. Schedules take it when they are saved again."


def _page(form: TemplateForm, name: str = "") -> str:
    """`name`: of the template that is edited; '' for a new one."""
    form.offer(templates.names(services().db, kind=TemplateKind.LAYOUT, limit=_LAYOUTS))
    return render_template("template_form.html", form=form, name=name)
