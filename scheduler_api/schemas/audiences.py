"""Audiences in JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates

from mailroom.domain.audiences import MAX_TOLD, Audience, Recipient
from mailroom.domain.errors import Fault
from mailroom.domain.limits import MAX_NAME
from mailroom.services.audiences import lists as audience_lists
from mailroom.services.audiences.lists import CreatedAudience, NewAudience
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import PageOut
from scheduler_api.schemas.shared_fields import ROWS_DOC, Recipients


class AudienceIn(RequestBody):
    name = fields.String(required=True, validate=validate.Length(min=1, max=MAX_NAME))
    recipients = Recipients(
        allow_none=True,
        metadata=ROWS_DOC | {"description": "if left out, nobody is in it yet; else as in a schedule"},
    )
    on_invalid = fields.String(
        load_default="refuse",
        validate=validate.OneOf(["refuse", "skip"]),
        metadata={
            "description": "what happens if a row cannot be taken: `refuse` refuses the list, `skip` leaves the row out"
        },
    )

    @validates("recipients")
    def not_null(self, value: Any, **_: Any) -> None:
        """Left out says that nobody is in it; null says nothing."""
        if value is None:
            raise ValidationError("Field may not be null.")


class AudienceOut(Schema):
    id = fields.String()
    name = fields.String(metadata={"description": "empty for one that is a single schedule's own"})
    recipients_count = fields.Integer()
    variables = fields.List(fields.String(), metadata={"description": "those that every recipient has"})
    created_at = fields.String()
    changed_at = fields.String(
        allow_none=True, metadata={"description": "when its contacts last changed; null: never since it was made"}
    )


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
    given = rows if isinstance(rows, list) or rows is None else []
    read = NewAudience(name if isinstance(name, str) else "x", given)
    return audience_lists.faults_of(read)


def audience(stored: Audience) -> dict[str, Any]:
    return {
        "id": stored.id,
        "name": stored.name,
        "recipients_count": stored.count,
        "variables": list(stored.variables),
        "created_at": stored.created_at.isoformat(),
        "changed_at": stored.version.isoformat() if stored.version else None,
    }


def made(stored: CreatedAudience) -> dict[str, Any]:
    refused = [asdict(row) for row in stored.refused]
    return audience(stored.audience) | {"refused": refused, "refused_count": stored.refused_count}


def recipient(stored: Recipient) -> dict[str, Any]:
    return {"address": stored.address, "name": stored.name, "variables": stored.variables}
