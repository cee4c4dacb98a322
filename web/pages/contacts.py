"""A contact: what goes to an address, why not, and what its reader left and joined again."""

from flask import Blueprint, render_template

from mailroom.services.consent import contacts
from web.session import services, signed_in

blueprint = Blueprint("contacts", __name__)


@blueprint.get("/contacts/<path:address>")
@signed_in()
def show(address: str) -> str:
    return render_template("contact.html", contact=contacts.view(services().db, address))
