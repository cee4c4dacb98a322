"""The contacts of an audience: added and changed by a list, or one by hand; removed."""

from contextlib import suppress
from itertools import chain

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from mailroom.domain.audiences import Audience
from mailroom.domain.contacts import Contact
from mailroom.domain.errors import AudienceNotFound, ContactNotFound, InvalidInput, SendersTooOld
from mailroom.domain.ids import AudienceId
from mailroom.domain.words import counted
from mailroom.services.audiences import contacts, exporting
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.schedules import uploads
from web import recipients
from web.flashes import flash_problem
from web.forms.contact import ContactForm, ContactsForm
from web.session import principal, services, signed_in

blueprint = Blueprint("audience_contacts", __name__)
_SOURCE = "page"


@blueprint.get("/audiences/<audience_id>/add")
@signed_in("schedules")
def add(audience_id: str) -> str:
    return _list_page(_listed(audience_id), ContactsForm.sent(request.args, recipients.Given()))


@blueprint.post("/audiences/<audience_id>/add")
@signed_in("schedules")
def save_many(audience_id: str) -> ResponseReturnValue:
    """Add a list; a table first comes back with how its columns are read. The same list again changes nothing."""
    db, owner, action = services().db, principal().owner, request.form.get("action")
    audience = _listed(audience_id)
    if action == "refused":
        return recipients.refused_report(db, request.form, owner=owner)
    given = recipients.read(db, request.form, request.files.get("recipients_file"), owner=owner)
    form = ContactsForm.sent(request.form, given)
    if action == "check" or (given.table and not given.seen):
        form.look_at_list(asked=False)
        return _list_page(audience, form)
    form.look_at_list(asked=True)
    if given.stopped or not given.any:
        return _list_page(audience, form, refused=True), 422
    try:
        done = contacts.add_checked(db, audience.id, given.recipients, source=_SOURCE)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _list_page(audience, form, refused=True), 422
    except SendersTooOld as error:
        form.complain("recipients", str(error))
        return _list_page(audience, form, refused=True), 409
    if given.upload:
        uploads.drop(db, given.upload, owner=owner)
    flash(f"{counted(done.added, 'contact')} added, {done.changed:,} changed, {done.unchanged:,} were there already.")
    return redirect(url_for("audiences.show", audience_id=audience.id), 303)


@blueprint.get("/audiences/<audience_id>/export")
@signed_in()
def export(audience_id: str) -> Response:
    """All contacts as CSV, harmless to a spreadsheet."""
    services().limits.check_report(principal())
    lines = exporting.lines_of(services().db, AudienceId(audience_id), harmless=True)
    headers = {"Content-Disposition": 'attachment; filename="contacts.csv"'}
    return Response(chain(["\ufeff"], lines), mimetype="text/csv; charset=utf-8", headers=headers)


@blueprint.get("/audiences/<audience_id>/contacts/<path:address>")
@signed_in("schedules")
def edit(audience_id: str, address: str) -> str:
    contact = contacts.get(services().db, AudienceId(audience_id), address)
    return _page(_listed(audience_id), contact, ContactForm.of(contact))


@blueprint.post("/audiences/<audience_id>/contacts/<path:address>")
@signed_in("schedules")
def change(audience_id: str, address: str) -> ResponseReturnValue:
    db, audience = services().db, _listed(audience_id)
    contact = contacts.get(db, audience.id, address)
    form = ContactForm(request.form)
    try:
        contacts.patch(db, audience.id, address, form.asked(contact), source=_SOURCE)
    except InvalidInput as error:
        form.refuse(error.faults)
        return _page(audience, contact, form), 422
    except SendersTooOld as error:
        flash_problem(error)
        return _page(audience, contact, form), 409
    flash(f"{contact.recipient.address} is saved. Runs that are due from now on use these values.")
    return redirect(url_for("audiences.show", audience_id=audience.id), 303)


@blueprint.post("/audiences/<audience_id>/remove/<path:address>")
@signed_in("schedules")
def remove(audience_id: str, address: str) -> ResponseReturnValue:
    """Removing again changes nothing."""
    try:
        with suppress(ContactNotFound):
            contacts.remove(services().db, AudienceId(audience_id), address)
        flash(f"{address} is removed from this audience. Runs that were due before may still send to it.")
    except SendersTooOld as error:
        flash_problem(error)
    return redirect(url_for("audiences.show", audience_id=audience_id), 303)


def _listed(audience_id: str) -> Audience:
    """Raises AudienceNotFound also for a schedule's own list: nobody changes that."""
    audience = audience_lists.get(services().db, AudienceId(audience_id))
    if not audience.listed:
        raise AudienceNotFound(audience_id)
    return audience


def _list_page(audience: Audience, form: ContactsForm, *, refused: bool = False) -> str:
    shown = recipients.of_page(form.given)
    return render_template("audience_add.html", audience=audience, form=form, refused=refused, **shown)


def _page(audience: Audience, contact: Contact, form: ContactForm) -> str:
    return render_template("audience_contact.html", audience=audience, contact=contact, form=form)
