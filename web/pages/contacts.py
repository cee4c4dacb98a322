"""A contact: what goes to an address, why not, what its reader left and joined again; all its data, and its erasure."""

from typing import Final

from flask import Blueprint, Response, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from mailroom.services.consent import contacts
from mailroom.services.persons import erasing, exporting
from web.confirm import Question, ask
from web.session import principal, services, signed_in

blueprint = Blueprint("contacts", __name__)
_WHAT_GOES: Final = (
    "From every audience: the address, the name, all merge fields and the language.",
    "From every email, sent or waiting: the recipient, the text of single emails, everything that was written for "
    "this recipient alone, and what providers reported. Emails that wait are not sent.",
    "From the consent journal, subscription forms and rejected requests: the address and the name.",
    "What stays: the counts of every report, and suppressions, which go on holding emails back without the address. "
    "Audiences keep the bare address and the time zone for a week, as a place for runs that began before.",
    "Providers' own logs and your backups are not changed. This cannot be undone.",
)


@blueprint.get("/contacts/<path:address>")
@signed_in()
def show(address: str) -> str:
    contact, erasures = contacts.view(services().db, address), erasing.of_address(services().db, address)
    return render_template("contact.html", contact=contact, erasures=erasures)


@blueprint.get("/contacts/<path:address>/export")
@signed_in("admin")
def export(address: str) -> Response:
    """Everything that is stored, as JSON."""
    services().limits.check_report(principal())
    headers = {"Content-Disposition": 'attachment; filename="contact.json"'}
    return Response(exporting.pieces_of(services().db, address), mimetype="application/json", headers=headers)


@blueprint.get("/contacts/<path:address>/erase")
@signed_in("admin")
def ask_to_erase(address: str) -> str:
    question = Question(f"Erase all data of {address}?", "Erase", _WHAT_GOES)
    act = url_for("contacts.erase", address=address)
    return ask(question, act=act, back=url_for("contacts.show", address=address))


@blueprint.post("/contacts/<path:address>/erase")
@signed_in("admin")
def erase(address: str) -> ResponseReturnValue:
    """Sent twice, it is one."""
    erasing.ask(services().db, address, by=principal().name)
    flash("The data is being erased. This page shows when it is done.")
    return redirect(url_for("contacts.show", address=address), 303)
