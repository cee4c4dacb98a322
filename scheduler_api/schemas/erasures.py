"""Erasures of people, in JSON."""

from typing import Any

from marshmallow import Schema, fields

from mailroom.domain.erasures import Erasure
from scheduler_api.schemas.instants import iso

_COUNTS_DOC = {"description": "documents that were changed or removed, by kind"}


class ErasureOut(Schema):
    id = fields.String()
    state = fields.String(metadata={"description": "`running`, `waiting` (for what cannot go yet) or `done`"})
    asked_at = fields.String()
    asked_by = fields.String()
    done_at = fields.String(allow_none=True)
    documents = fields.Integer(metadata={"description": "how many documents were changed or removed"})
    counts = fields.Dict(keys=fields.String(), values=fields.Integer(), metadata=_COUNTS_DOC)
    waits = fields.Integer(metadata={"description": "runs and mails that cannot go yet"})


def erasure(one: Erasure) -> dict[str, Any]:
    return {
        "id": one.id,
        "state": one.state,
        "asked_at": iso(one.asked_at),
        "asked_by": one.asked_by,
        "done_at": iso(one.done_at),
        "documents": one.documents,
        "counts": dict(one.counts),
        "waits": len(one.waits),
    }
