"""Contacts of an audience in JSON."""

from dataclasses import asdict
from typing import Any, Final

from marshmallow import Schema, fields, validate

from mailroom.domain.audiences import MAX_TOLD
from mailroom.domain.contacts import Contact
from mailroom.domain.limits import MAX_LANGUAGE, MAX_RECIPIENT_NAME
from mailroom.services.audiences.contacts import Added
from mailroom.services.feedback.suppressions import MOST_ROWS
from scheduler_api.arguments import Patch, RequestBody
from scheduler_api.paging import PageOut
from scheduler_api.schemas.audiences import RefusedOut
from scheduler_api.schemas.shared_fields import ROWS_DOC, Recipients

_ZONE_DOC: Final = {"description": "an IANA name, such as Europe/Berlin; empty if it is not known"}
_LANGUAGE_DOC: Final = {"description": "a tag of BCP 47, such as en or de-AT; empty if it is not known"}
_ON_INVALID_DOC: Final = {
    "description": "what happens if a row cannot be taken: `refuse` refuses all, `skip` leaves the row out"
}


def _on_invalid() -> fields.String:
    return fields.String(load_default="refuse", validate=validate.OneOf(["refuse", "skip"]), metadata=_ON_INVALID_DOC)


class ContactIn(RequestBody):
    name = fields.String(validate=validate.Length(max=MAX_RECIPIENT_NAME))
    variables = fields.Dict(keys=fields.String(), metadata={"description": "the merge fields"})
    time_zone = fields.String(validate=validate.Length(max=64), metadata=_ZONE_DOC)
    language = fields.String(validate=validate.Length(max=MAX_LANGUAGE), metadata=_LANGUAGE_DOC)


class ContactEdit(Patch):
    name = fields.String(allow_none=True, validate=validate.Length(max=MAX_RECIPIENT_NAME))
    variables = fields.Dict(
        keys=fields.String(), metadata={"description": "the merge fields to change; one that is null is removed"}
    )
    time_zone = fields.String(allow_none=True, validate=validate.Length(max=64), metadata=_ZONE_DOC)
    language = fields.String(allow_none=True, validate=validate.Length(max=MAX_LANGUAGE), metadata=_LANGUAGE_DOC)


class ContactsIn(RequestBody):
    contacts = Recipients(required=True, metadata=ROWS_DOC)
    on_invalid = _on_invalid()


class ImportQuery(Schema):
    on_invalid = _on_invalid()
    dry_run = fields.Boolean(load_default=False, metadata={"description": "look at the file, and store nothing"})


class ContactRemovalIn(RequestBody):
    addresses = fields.List(
        fields.String(validate=validate.Length(min=1, max=320)),
        required=True,
        validate=validate.Length(min=1, max=MOST_ROWS),
    )


class ContactsRemovedOut(Schema):
    removed = fields.Integer()
    not_found = fields.List(fields.String())


class AudienceContactOut(Schema):
    address = fields.String()
    name = fields.String()
    variables = fields.Dict()
    time_zone = fields.String(metadata=_ZONE_DOC)
    language = fields.String(metadata=_LANGUAGE_DOC)
    joined_at = fields.String(
        allow_none=True, metadata={"description": "when it came into the audience; null: with the audience itself"}
    )
    source = fields.String(metadata={"description": "how it came in, such as api or import; empty: with the audience"})


class ContactPage(PageOut):
    items = fields.List(fields.Nested(AudienceContactOut))


class AddedOut(Schema):
    added = fields.Integer()
    changed = fields.Integer()
    unchanged = fields.Integer()
    refused = fields.List(
        fields.Nested(RefusedOut), metadata={"description": f"the rows that were left out, the first {MAX_TOLD:,}"}
    )
    refused_count = fields.Integer()


def contact(stored: Contact) -> dict[str, Any]:
    recipient = stored.recipient
    return {
        "address": recipient.address,
        "name": recipient.name,
        "variables": recipient.variables,
        "time_zone": recipient.time_zone,
        "language": recipient.language,
        "joined_at": stored.joined_at.isoformat() if stored.joined_at else None,
        "source": stored.source,
    }


def added(done: Added) -> dict[str, Any]:
    return done._asdict() | {"refused": [asdict(row) for row in done.refused]}
