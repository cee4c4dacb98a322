"""`/v1/messages`: the mails to a person, of campaigns and single mails."""

from typing import Any

from mailroom.services.reports import people
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import people as schemas

blueprint = Blueprint("messages", __name__, url_prefix="/v1/messages", description="One mail to one person each.")


@blueprint.get("")
@requires("read")
@blueprint.arguments(schemas.PersonQuery, location="query")
@blueprint.response(200, schemas.PersonPageOut)
def index(query: dict[str, Any]) -> Any:
    """The mails to an address, or to the addresses that begin with it, newest first. Mails of one run to several of
    them stand on one page."""
    services().limits.check_report(principal())
    before = paging.decode_time_and_id(query.get("cursor"))
    return schemas.person_page(people.find(services().db, query["recipient"], before=before, limit=query["limit"]))
