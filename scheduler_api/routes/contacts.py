"""`/v1/contacts`: what is known of an address, all of it as one document, and its erasure."""

from typing import Any

from flask import Response

from mailroom.services.consent import contacts
from mailroom.services.persons import erasing, exporting
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import erasures
from scheduler_api.schemas import topics as schemas

blueprint = Blueprint("contacts", __name__, url_prefix="/v1/contacts", description="What is known of an address.")
_DOCUMENT = {"200": {"description": "JSON", "content": {"application/json": {"schema": {"type": "object"}}}}}


@blueprint.get("/<path:address>")
@requires("read")
@blueprint.response(200, schemas.ContactOut)
def show(address: str) -> Any:
    """The topics that go to an address, its suppressions, its audiences, and what its reader left and joined again."""
    return schemas.contact(contacts.view(services().db, address))


@blueprint.get("/<path:address>/export")
@blueprint.doc(responses=_DOCUMENT)
@requires("admin")
def export(address: str) -> Any:
    """Everything that is stored about an address, as one document."""
    services().limits.check_report(principal())
    headers = {"Content-Disposition": 'attachment; filename="contact.json"'}
    return Response(exporting.pieces_of(services().db, address), mimetype="application/json", headers=headers)


@blueprint.post("/<path:address>/erase")
@requires("admin")
@blueprint.response(202, erasures.ErasureOut)
@blueprint.alt_response(200, schema=erasures.ErasureOut, description="It was asked for before, and is not done yet")
def erase(address: str) -> Any:
    """Erase the person: everything under the address goes, in the background. Counts of reports stay, suppressions go
    on holding mail back. It cannot be undone."""
    asked, is_new = erasing.ask(services().db, address, by=principal().name)
    return erasures.erasure(asked), 202 if is_new else 200


@blueprint.get("/<path:address>/erasure")
@requires("read")
@blueprint.response(200, erasures.ErasureOut)
def show_erasure(address: str) -> Any:
    """How far the newest erasure of an address has come."""
    return erasures.erasure(erasing.newest(services().db, address))
