"""`/v1/contacts`: what is known of an address."""

from typing import Any

from mailroom.services.consent import contacts
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import requires, services
from scheduler_api.schemas import topics as schemas

blueprint = Blueprint("contacts", __name__, url_prefix="/v1/contacts", description="What is known of an address.")


@blueprint.get("/<path:address>")
@requires("read")
@blueprint.response(200, schemas.ContactOut)
def show(address: str) -> Any:
    """The topics that go to an address, its suppressions, its audiences, and what its reader left and joined again."""
    return schemas.contact(contacts.view(services().db, address))
