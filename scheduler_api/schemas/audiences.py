"""Audiences in JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.domain.audiences import MAX_TOLD, Audience, Recipient
from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_NAME
from mailroom.services.schedules import audiences as audience_lists
from mailroom.services.schedules.audiences import Made, NewList
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import PageOut
from scheduler_api.schemas.schedules import ROWS_DOC, Recipients


class AudienceIn(RequestBody):
    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    recipients = Recipients(required=True, metadata=ROWS_DOC)
    on_invalid = fields.String(
        load_default="refuse",
        validate=validate.OneOf(["refuse", "skip"]),
        metadata={
            "description": "what happens if a row cannot be taken: `refuse` refuses the list, `skip` leaves the row out"
        },
    )


class AudienceOut(Schema):
    id = fields.String()
    name = fields.String(metadata={"description": "empty for one that is a single schedule's own"})
    recipients_count = fields.Integer()
    variables = fields.List(fields.String(), metadata={"description": "those that every recipient has"})
    created_at = fields.String()


class RefusedOut(Schema):
    row = fields.Integer(metadata={"description": "its place in `recipients`; the first is 1"})
    address = fields.String()
    message = fields.String()


class AudienceMade(AudienceOut):
    refused = fields.List(
        fields.Nested(RefusedOut), metadata={"description": f"the rows that were left out, the first {MAX_TOLD:,}"}
    )
    refused_count = fields.Integer()


class AudiencePage(PageOut):
    items = fields.List(fields.Nested(AudienceOut))


class MemberOut(Schema):
    address = fields.String()
    name = fields.String()
    variables = fields.Dict()


class RecipientPage(PageOut):
    items = fields.List(fields.Nested(MemberOut))


def further_faults(asked: dict[str, Any], good: dict[str, Any]) -> Sequence[Fault]:
    """The domain's faults of a list that the schema refuses."""
    name, rows = asked.get("name"), asked.get("recipients")
    read = NewList(name if isinstance(name, str) else "x", rows if isinstance(rows, list) else [])
    return audience_lists.faults_of(read)


def audience(stored: Audience) -> dict[str, Any]:
    return {
        "id": stored.id,
        "name": stored.name,
        "recipients_count": stored.count,
        "variables": list(stored.variables),
        "created_at": stored.created_at.isoformat(),
    }


def made(stored: Made) -> dict[str, Any]:
    refused = [asdict(row) for row in stored.refused]
    return audience(stored.audience) | {"refused": refused, "refused_count": stored.refused_count}


def recipient(stored: Recipient) -> dict[str, Any]:
    return {"address": stored.address, "name": stored.name, "variables": stored.variables}
