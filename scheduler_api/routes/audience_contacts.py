"""`/v1/audiences/{id}/contacts`: who is in an audience; added, changed and removed, one or many."""

from typing import Any

from flask import Response, url_for

from mailroom.domain.ids import AudienceId
from mailroom.domain.limits import MAX_BODY_BYTES, MAX_IDS_BODY_BYTES, MAX_VALUES_OF_A_LIST
from mailroom.services.audiences import contact_files, contacts, exporting
from mailroom.services.audiences.contact_files import Adding
from mailroom.services.audiences.contacts import Added
from scheduler_api import paging
from scheduler_api.arguments import Blueprint
from scheduler_api.auth import principal, requires, services
from scheduler_api.bodies import raw_body
from scheduler_api.paging import ListQuery
from scheduler_api.schemas import audience_contacts as schemas

blueprint = Blueprint(
    "audience_contacts",
    __name__,
    url_prefix="/v1/audiences/<audience_id>/contacts",
    description="Who is in an audience. A run goes to its audiences as of its due instant.",
)
_CSV = {"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}}
_SOURCE = "api"


@blueprint.get("")
@requires("read")
@blueprint.arguments(ListQuery, location="query")
@blueprint.response(200, schemas.ContactPage)
def index(query: dict[str, Any], audience_id: str) -> Any:
    """The contacts, in the order of their addresses."""
    after, limit = paging.decode_id(query.get("cursor")), query["limit"]
    found = contacts.page(services().db, AudienceId(audience_id), after=after, limit=limit)
    return paging.page_of(found, limit, schemas.contact, lambda one: [one.key])


@blueprint.get("/export")
@blueprint.doc(responses={"200": {"description": "CSV", "content": {"text/csv": {"schema": {"type": "string"}}}}})
@requires("read")
def export(audience_id: str) -> Any:
    """All contacts as CSV, in the order of their addresses."""
    services().limits.check_report(principal())
    lines = exporting.lines_of(services().db, AudienceId(audience_id))
    headers = {"Content-Disposition": f'attachment; filename="{audience_id}.csv"'}
    return Response(lines, mimetype="text/csv", headers=headers)


@blueprint.post("")
@requires("schedules", most=MAX_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
@blueprint.arguments(schemas.ContactsIn)
@blueprint.response(200, schemas.AddedOut)
def add_many(body: dict[str, Any], audience_id: str) -> Any:
    """Let all of these be in the audience, with the data given here; what a row does not name stays. A row that
    cannot be taken refuses all; with `"on_invalid": "skip"` it is left out, and listed under `refused`."""
    return _shown(contacts.add_many(services().db, AudienceId(audience_id), **_rows(body), source=_SOURCE))


@blueprint.post("/import")
@blueprint.doc(**_CSV)
@requires("schedules", most=MAX_BODY_BYTES)
@blueprint.arguments(schemas.ImportQuery, location="query")
@blueprint.response(200, schemas.AddedOut)
def add_file(query: dict[str, Any], audience_id: str) -> Any:
    """A CSV file, or one address a line, read as an audience's file is. The same again changes nothing. A line that
    cannot be taken refuses all, with `on_invalid=skip` it is left out; with `dry_run` nothing is stored."""
    data = raw_body(MAX_BODY_BYTES)
    return _shown(contact_files.add(services().db, AudienceId(audience_id), data, Adding(**query)))


@blueprint.post("/remove")
@requires("schedules", most=MAX_IDS_BODY_BYTES, values=MAX_VALUES_OF_A_LIST)
@blueprint.arguments(schemas.ContactRemovalIn)
@blueprint.response(200, schemas.ContactsRemovedOut)
def remove_many(body: dict[str, Any], audience_id: str) -> Any:
    """Let nobody of these be in the audience."""
    removed, not_found = contacts.remove_many(services().db, AudienceId(audience_id), body["addresses"])
    return {"removed": removed, "not_found": not_found}


@blueprint.get("/<path:address>")
@requires("read")
@blueprint.response(200, schemas.AudienceContactOut)
def show(audience_id: str, address: str) -> Any:
    """A contact of the audience."""
    return schemas.contact(contacts.get(services().db, AudienceId(audience_id), address))


@blueprint.put("/<path:address>")
@requires("schedules")
@blueprint.arguments(schemas.ContactIn)
@blueprint.response(200, schemas.AudienceContactOut)
@blueprint.alt_response(201, schema=schemas.AudienceContactOut, description="The address was not in the audience")
def put(body: dict[str, Any], audience_id: str, address: str) -> Any:
    """Let the address be in the audience, with just these data."""
    row = {**body, "address": address}
    stored, new = contacts.put(services().db, AudienceId(audience_id), row, source=_SOURCE)
    location = url_for("audience_contacts.show", audience_id=audience_id, address=stored.key)
    return schemas.contact(stored), 201 if new else 200, {"Location": location} if new else {}


@blueprint.patch("/<path:address>")
@requires("schedules")
@blueprint.arguments(schemas.ContactEdit)
@blueprint.response(200, schemas.AudienceContactOut)
def change(body: dict[str, Any], audience_id: str, address: str) -> Any:
    """Change some data of a contact. Merge fields that are not named stay; one that is null is removed."""
    return schemas.contact(contacts.patch(services().db, AudienceId(audience_id), address, body, source=_SOURCE))


@blueprint.delete("/<path:address>")
@requires("schedules")
@blueprint.response(204)
def remove(audience_id: str, address: str) -> None:
    """Let the address not be in the audience. It may still get mail of runs that were due before."""
    contacts.remove(services().db, AudienceId(audience_id), address)


def _rows(body: dict[str, Any]) -> dict[str, Any]:
    return {"rows": body["contacts"], "on_invalid": body["on_invalid"]}


def _shown(done: Added) -> dict[str, Any]:
    return schemas.added(done)
