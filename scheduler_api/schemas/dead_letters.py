"""Dead letters in JSON."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from mailroom.domain.limits import MAX_MAILS
from scheduler_api.arguments import RequestBody
from scheduler_api.paging import ListQuery, PageOut
from scheduler_api.schemas.people import DescribedDispatchOut

KINDS = {"mail": True, "campaign": False}


class FilterIn(RequestBody):
    run_id = fields.String(
        validate=validate.Length(max=200), metadata={"description": "of a run, or the id of a single mail"}
    )
    kind = fields.String(validate=validate.OneOf(list(KINDS)))
    code = fields.Integer(validate=validate.Range(0, 999_999), metadata={"description": "the provider's, such as 550"})


class DeadLetterQuery(FilterIn, ListQuery):
    pass


class Chosen(FilterIn):
    """Either `ids`, or `all: true` with or without a filter."""

    ids = fields.List(fields.String(validate=validate.Length(max=200)), validate=validate.Length(min=1, max=MAX_MAILS))
    all = fields.Boolean()

    @validates_schema
    def either(self, data: dict[str, Any], **_: Any) -> None:
        if ("ids" in data) == bool(data.get("all")):
            raise ValidationError("either ids, or all: true", "ids")
        if "ids" in data and set(data) - {"ids", "all"}:
            raise ValidationError("a filter goes with all: true", "ids")


class DeadLetterPage(PageOut):
    items = fields.List(fields.Nested(DescribedDispatchOut))


class DoneOut(Schema):
    done = fields.Integer()
    refused = fields.Dict(metadata={"description": "by id, why it was not done"})
