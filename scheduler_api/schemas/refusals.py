"""Refused requests in JSON."""

from typing import Any

from marshmallow import Schema, fields, validate

from mailroom.storage.rejected_requests import StoredRejection
from scheduler_api.paging import ListQuery, PageOut
from scheduler_api.problems import FaultOut
from scheduler_api.schemas.instants import iso

_PLAIN = ("method", "path", "status", "code", "detail", "who", "remote", "request_id", "size", "body")


class RefusalQuery(ListQuery):
    status = fields.Integer(validate=validate.Range(400, 499))


class RefusalOut(Schema):
    id = fields.String()
    at = fields.String()
    method = fields.String()
    path = fields.String()
    status = fields.Integer()
    code = fields.String()
    detail = fields.String()
    errors = fields.List(fields.Nested(FaultOut))
    who = fields.String(metadata={"description": "the name of the token; empty where none was good"})
    remote = fields.String()
    request_id = fields.String()
    size = fields.Integer(metadata={"description": "bytes of the body as it came"})
    body = fields.String(metadata={"description": "redacted and cut; empty where it was not read"})


class Refusals(PageOut):
    items = fields.List(fields.Nested(RefusalOut))


def refusal(stored: StoredRejection) -> dict[str, Any]:
    request = stored.request
    plain = {name: getattr(request, name) for name in _PLAIN}
    faults = [{"path": fault.path, "message": fault.message} for fault in request.faults]
    return {"id": stored.id, "at": iso(request.at), "errors": faults, **plain}
