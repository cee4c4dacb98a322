"""`/v1/dead-letters`: what failed for good; sent again or dropped, one, many, or all of a filter."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from mailroom.domain.ids import DispatchId, RunId
from mailroom.domain.limits import MAX_IDS_BODY_BYTES, MAX_MAILS
from mailroom.domain.searches import DeadLetterSearch
from mailroom.services.operations import dead_letters
from scheduler_api import paging
from scheduler_api.arguments import Blueprint, RequestBody
from scheduler_api.auth import principal, requires, services
from scheduler_api.schemas import runs as schemas
from scheduler_api.schemas.schedules import ListQuery

blueprint = Blueprint(
    "dead_letters", __name__, url_prefix="/v1/dead-letters", description="What failed for good, and why."
)
_KINDS = {"mail": True, "campaign": False}


class FilterIn(RequestBody):
    run_id = fields.String(
        validate=validate.Length(max=200), metadata={"description": "of a run, or the id of a single mail"}
    )
    kind = fields.String(validate=validate.OneOf(list(_KINDS)))
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


class DeadLetterPage(paging.PageOut):
    items = fields.List(fields.Nested(schemas.DispatchOut))


class DoneOut(Schema):
    done = fields.Integer()
    refused = fields.Dict(metadata={"description": "by id, why it was not done"})


@blueprint.get("")
@requires("read")
@blueprint.arguments(DeadLetterQuery, location="query")
@blueprint.response(200, DeadLetterPage)
def index(query: dict[str, Any]) -> Any:
    """Dead letters, each with its reason and code."""
    limit = query["limit"]
    found = dead_letters.page(services().db, _search(query), after=paging.decode_id(query.get("cursor")), limit=limit)
    return paging.page_of(found, limit, schemas.dispatch, paging.by_id)


@blueprint.post("/requeue")
@requires("mail", "schedules", most=MAX_IDS_BODY_BYTES)
@blueprint.arguments(Chosen)
@blueprint.response(200, DoneOut)
def requeue(body: dict[str, Any]) -> Any:
    """Send them again, each as a new attempt with all its tries: with scope `mail` those of single mails, with
    `schedules` those of campaigns."""
    chosen, refused = dead_letters.within_reach(_chosen(body), principal())
    done = dead_letters.requeue(services().db, chosen, by=principal().name)
    return {"done": done.done, "refused": {**refused, **done.refused}}


@blueprint.post("/drop")
@requires("mail", "schedules", most=MAX_IDS_BODY_BYTES)
@blueprint.arguments(Chosen)
@blueprint.response(200, DoneOut)
def drop(body: dict[str, Any]) -> Any:
    """Take them off the list: they stay failed. Scopes as for requeue."""
    chosen, refused = dead_letters.within_reach(_chosen(body), principal())
    return {"done": dead_letters.drop(services().db, chosen, by=principal().name), "refused": refused}


def _chosen(body: dict[str, Any]) -> dead_letters.Chosen:
    return [DispatchId(id_) for id_ in body["ids"]] if "ids" in body else _search(body)


def _search(asked: dict[str, Any]) -> DeadLetterSearch:
    single = _KINDS[asked["kind"]] if "kind" in asked else None
    run_id = RunId(asked["run_id"]) if asked.get("run_id") else None
    return DeadLetterSearch(run_id, single, asked.get("code"))
