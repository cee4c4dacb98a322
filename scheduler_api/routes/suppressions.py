"""`/v1/suppressions`: addresses that get no mail, or none of campaigns; looked up, added and removed."""

from typing import Any

from mailroom.assembly.providers import build_mailgun_lists
from mailroom.domain.errors import Fault, InvalidInput, ProviderNotFound, SuppressionNotFound
from mailroom.domain.limits import MAX_FILE_BYTES, MAX_IDS_BODY_BYTES, MAX_VALUES_OF_A_LIST
from mailroom.services.feedback import mailgun_lists
from mailroom.services.feedback import suppressions as suppression_lists
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.bodies import raw_body
from scheduler_api.schemas import suppressions as schemas

blueprint = Blueprint("suppressions", __name__, url_prefix="/v1/suppressions", description="Who gets nothing more.")
_CSV = {"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}}


@blueprint.get("")
@requires("read")
@blueprint.arguments(schemas.SuppressionQuery, location="query")
@blueprint.response(200, schemas.SuppressionPage)
def index(query: dict[str, Any]) -> Any:
    """Entries, newest first: hard bounces, complaints, unsubscribes and added ones; or the entries of one address."""
    if "address" in query:
        found = suppression_lists.find(services().db, query["address"])
        return {"items": [schemas.shown(found)] if found else [], "next_cursor": None}
    limit = query["limit"]
    rows = suppression_lists.page(services().db, before=paging.decode_time_and_id(query.get("cursor")), limit=limit)
    return paging.page_of(rows, limit, schemas.shown, lambda one: [one.since, one.address])


@blueprint.post("")
@requires("schedules")
@blueprint.arguments(schemas.SuppressionIn)
@blueprint.response(201, schemas.SuppressionOut)
def add(body: dict[str, Any]) -> Any:
    """Send no mail to an address, or none of campaigns. An entry that is there for the scope stays."""
    return schemas.shown(suppression_lists.add(services().db, body, by=principal().name))


@blueprint.post("/import")
@blueprint.doc(**_CSV)
@requires("schedules", most=MAX_FILE_BYTES)
@blueprint.response(200, schemas.ImportedOut)
def add_file() -> Any:
    """A CSV file with a column `address` (or `email`), and perhaps `reason` and `scope`; or one address a line. Wrong
    rows are reported one by one, the others are taken."""
    try:
        text = raw_body(MAX_FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(Fault("body", "is not UTF-8")) from None
    return suppression_lists.add_file(services().db, text, by=principal().name)


@blueprint.post("/import/mailgun")
@requires("schedules")
@blueprint.arguments(schemas.TakeOverIn)
@blueprint.response(200, schemas.TakenOverOut)
def take_over(body: dict[str, Any]) -> Any:
    """Take over Mailgun's own lists: bounces, complaints, unsubscribes. A call takes some thousand records; repeat it
    with `next_cursor` until that is null. Records that are there already stay as they are."""
    lists = build_mailgun_lists(services().settings)
    if lists is None:
        raise ProviderNotFound("mailgun")
    return mailgun_lists.take_over(services().db, lists, cursor=body.get("cursor"), by=principal().name)


@blueprint.post("/remove")
@requires("schedules", most=MAX_IDS_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
@blueprint.arguments(schemas.RemovalIn)
@blueprint.response(200, schemas.RemovedOut)
def remove_many(body: dict[str, Any]) -> Any:
    """Remove the entries of these addresses, which get mail again; with `scope` only the entries of that scope."""
    addresses, scope = body["addresses"], body.get("scope")
    removed, not_found = suppression_lists.remove_many(services().db, addresses, scope=scope, by=principal().name)
    return {"removed": removed, "not_found": not_found}


@blueprint.get("/<path:address>")
@requires("read")
@blueprint.response(200, schemas.SuppressionOut)
def show(address: str) -> Any:
    """The entries of an address, by scope."""
    return schemas.shown(suppression_lists.get(services().db, address))


@blueprint.delete("/<path:address>")
@requires("schedules")
@blueprint.arguments(schemas.ScopeQuery, location="query")
@blueprint.response(204)
def remove(query: dict[str, Any], address: str) -> None:
    """Remove the entries of an address, which gets mail again; with `scope` only the entry of that scope."""
    if not suppression_lists.remove(services().db, address, scope=query.get("scope"), by=principal().name):
        raise SuppressionNotFound(address)
